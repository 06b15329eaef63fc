"""The shop as tests/apps/measure runs it: unchanged, but that MEASURED_PRE_PING=off leaves out
pool_pre_ping."""

import os
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_app import database, main


def _without_pre_ping(*arguments: Any, **keywords: Any) -> AsyncEngine:
    keywords.pop("pool_pre_ping", None)
    return create_async_engine(*arguments, **keywords)


def create_app() -> Any:
    if os.environ.get("MEASURED_PRE_PING") == "off":
        database.create_async_engine = _without_pre_ping
    return main.create_app()
