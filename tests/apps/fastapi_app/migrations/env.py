"""How Alembic reaches the database: by the application's own settings and driver."""

import asyncio
from logging.config import fileConfig

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from fastapi_app.models import Base
from fastapi_app.settings import get_settings

LOCK = 5_432_064  # of those who migrate this application; any number would do

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        # Two servers that are deployed at once must not migrate at once.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.run_migrations()


async def online() -> None:
    engine = create_async_engine(get_settings().url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


def offline() -> None:
    """Prints the SQL instead."""
    context.configure(
        url=get_settings().url, target_metadata=Base.metadata, literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    offline()
else:
    asyncio.run(online())
