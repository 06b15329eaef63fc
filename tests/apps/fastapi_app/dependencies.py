"""What a request may depend on: a session, with or without a transaction around the request."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_app.database import Database


def get_database(request: Request) -> Database:
    return request.app.state.database


DatabaseDep = Annotated[Database, Depends(get_database)]


async def get_session(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    """Commits on success, rolls back on any exception, closes always."""
    async with database.sessions() as session:
        try:
            yield session
            await session.commit()
        except BaseException:
            await session.rollback()
            raise


async def get_transaction(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    """A transaction around the whole request: nobody commits in between."""
    async with database.sessions() as session, session.begin():
        yield session


# "function": over before the response goes out, so that whoever has read it finds what it tells.
SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
TransactionDep = Annotated[AsyncSession, Depends(get_transaction, scope="function")]
# "request": for responses that read from the session while they are sent.
StreamDep = Annotated[AsyncSession, Depends(get_session, scope="request")]
