"""The engine and its sessions: made at start, tried once, disposed of at the end."""

import asyncio
import logging
from typing import Any

from pydantic_core import to_json
from sqlalchemy import NullPool, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from fastapi_app.settings import Settings

logger = logging.getLogger(__name__)


class DatabaseUnavailable(Exception):
    """The database did not answer at start."""


def _json(value: Any) -> str:
    """JSON that knows decimals, dates and UUIDs."""
    return to_json(value).decode()


def make_engine(settings: Settings) -> AsyncEngine:
    if settings.database_null_pool:
        pool: dict[str, Any] = {"poolclass": NullPool}
    else:
        pool = {
            "pool_size": settings.database_pool_size,
            "max_overflow": settings.database_max_overflow,
            "pool_timeout": settings.database_pool_timeout,
            "pool_pre_ping": True,
            "pool_recycle": settings.database_pool_recycle,
        }
    return create_async_engine(
        settings.url,
        connect_args={
            "server_settings": {"jit": "off", "application_name": "fastapi_app"},
            "command_timeout": settings.database_command_timeout,
        },
        json_serializer=_json,
        hide_parameters=True,
        **pool,
    )


class Database:
    """Owned by the application: one a process."""

    def __init__(self, settings: Settings) -> None:
        self._startup_timeout = settings.database_startup_timeout
        self.engine = make_engine(settings)
        self.sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(
            self.engine, expire_on_commit=False
        )

    @property
    def name(self) -> str:
        """For the log: the URL with its password hidden."""
        return self.engine.url.render_as_string(hide_password=True)

    async def ping(self) -> None:
        """Raises what went wrong."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def start(self) -> None:
        """Fails fast: an application without its database should not take requests."""
        try:
            async with asyncio.timeout(self._startup_timeout):
                await self.ping()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}".strip()
            logger.critical("cannot reach the database %s: %s", self.name, reason)
            raise DatabaseUnavailable(reason) from None
        logger.info("connected to the database %s", self.name)

    async def stop(self) -> None:
        await self.engine.dispose()
        logger.info("disposed of the engine of %s", self.name)
