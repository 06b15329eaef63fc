"""The shop with routes of the tests' own: they fail, wait, and tell what the session sees."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from pydantic_core import from_json
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_app import main
from fastapi_app.dependencies import DatabaseDep, SessionDep, TransactionDep
from fastapi_app.models import Channel, Product

router = APIRouter(prefix="/trials")


class Failure(Exception):
    """What no handler knows."""


def product(sku: str, **values: Any) -> Product:
    return Product(sku=sku, name=sku, price=1, **values)


async def _fail(session: AsyncSession, sku: str, way: str) -> list[int]:
    session.add(product(sku))
    await session.flush()
    match way:
        case "http":
            raise HTTPException(418, "no tea")
        case "sql":
            await session.execute(text("SELECT 1/0"))
        case "exception":
            raise Failure(sku)
        case "cancelled":
            raise asyncio.CancelledError
    return ["not a number"]  # does not fit the response: found after the function has returned


@router.post("/session/{way}")
async def fail_in_session(session: SessionDep, sku: str, way: str) -> list[int]:
    return await _fail(session, sku, way)


@router.post("/transaction/{way}")
async def fail_in_transaction(session: TransactionDep, sku: str, way: str) -> list[int]:
    return await _fail(session, sku, way)


@router.get("/sleep")
async def sleep(session: SessionDep, seconds: float) -> float:
    await session.execute(select(func.pg_sleep(seconds)))
    return seconds


@router.post("/create_slowly")
async def create_slowly(session: SessionDep, sku: str, seconds: float) -> str:
    session.add(product(sku))
    await session.flush()
    await session.execute(select(func.pg_sleep(seconds)))
    return sku


@router.get("/transaction")
async def look_at_transaction(session: TransactionDep) -> list[tuple[int, int]]:
    """Backend and transaction of three statements."""
    query = text("SELECT pg_backend_pid(), txid_current() FROM pg_sleep(0.01)")
    return [tuple((await session.execute(query)).one()) for _ in range(3)]


@router.get("/settings")
async def settings(session: SessionDep) -> dict[str, str]:
    names = ("jit", "application_name", "TimeZone", "search_path")
    return {name: await session.scalar(select(func.current_setting(name))) for name in names}


@router.get("/pool")
async def pool(database: DatabaseDep) -> int:
    """Connections of this worker's engine that are in use."""
    return database.engine.pool.checkedout()


async def _try_to_add(session: AsyncSession, sku: str) -> None:
    """In a savepoint; one that is there already is an error of the server's."""
    try:
        async with session.begin_nested():
            await session.execute(insert(Product).values(sku=sku, name=sku, price=1))
    except IntegrityError:
        pass


@router.post("/nested")
async def nested(session: TransactionDep, fail: bool = False) -> list[str]:
    """Savepoints within savepoints: "kept..." is to stay and "lost..." to go."""
    session.add(product("kept"))
    async with session.begin_nested():
        session.add(product("kept in one"))
        await session.flush()
        try:
            async with session.begin_nested():
                session.add(product("lost in two"))
                await _try_to_add(session, "lost in three")
                await _try_to_add(session, "kept")
                await session.flush()
                raise Failure
        except Failure:
            pass
        await _try_to_add(session, "kept in one")
        await _try_to_add(session, "kept in two")
    savepoint = await session.begin_nested()
    session.add(product("lost again"))
    await session.flush()
    await savepoint.rollback()
    session.add(product("kept at last"))
    skus = await session.scalars(select(Product.sku).order_by(Product.id))
    if fail:
        raise Failure
    return list(skus)


async def driver_connection(session: SessionDep) -> Any:
    """asyncpg's own, below SQLAlchemy."""
    return (await (await session.connection()).get_raw_connection()).driver_connection


@router.get("/codecs")
async def codecs(connection: Annotated[Any, Depends(driver_connection)]) -> dict[str, Any]:
    """Codecs that a program sets itself: asyncpg asks the server what the type is."""
    await connection.set_type_codec(
        "channel", schema="public", encoder=lambda one: one.value, decoder=Channel, format="text"
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=str, decoder=lambda text: ["decoded", text]
    )
    try:
        return {
            "enum": repr(await connection.fetchval("SELECT $1::channel", Channel.WEB)),
            "array": repr(await connection.fetchval("SELECT '{shop,phone}'::channel[]")),
            "jsonb": await connection.fetchval("SELECT '[1]'::jsonb"),
            # A type that nobody has named: found out when a result has it.
            "range": repr(await connection.fetchval("SELECT numrange(1, 2)")),
            "row": repr(await connection.fetchval("SELECT p FROM (SELECT 'web'::channel) p")),
        }
    finally:
        # As SQLAlchemy had it.
        await connection.reset_type_codec("channel", schema="public")
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            encoder=lambda text: b"\x01" + text.encode(),
            decoder=lambda value: from_json(value[1:]),
            format="binary",
        )


def create_app() -> FastAPI:
    app = main.create_app()
    app.include_router(router)
    return app
