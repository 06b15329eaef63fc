"""uvicorn with its worker processes, once the settings are right and the database answers."""

import asyncio
import logging

import uvicorn
from pydantic import ValidationError

from fastapi_app import logs
from fastapi_app.database import Database, DatabaseUnavailable
from fastapi_app.settings import Settings, get_settings

logger = logging.getLogger(__name__)


async def _check(settings: Settings) -> None:
    database = Database(settings)
    try:
        await database.start()
    finally:
        await database.stop()


def serve(factory: str = "fastapi_app.main:create_app") -> None:
    # Each worker checks again, but uvicorn's parent process would end with status 0 if one failed.
    logs.configure("INFO")
    try:
        settings = get_settings()
        logs.configure(settings.log_level)
        asyncio.run(_check(settings))
    except ValidationError as error:
        logger.critical("%s", error)
        raise SystemExit(1) from None
    except DatabaseUnavailable:
        raise SystemExit(1) from None
    uvicorn.run(
        factory, factory=True, host=settings.host, port=settings.port, workers=settings.workers
    )
