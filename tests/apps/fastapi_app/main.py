"""The application, and what lives as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from fastapi_app import errors, logs, routes
from fastapi_app.database import Database
from fastapi_app.settings import get_settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = get_settings()
    logs.configure(settings.log_level)
    database = Database(settings)
    app.state.database = database
    try:
        await database.start()
        yield
    finally:
        await database.stop()


def create_app() -> FastAPI:
    app = FastAPI(title="Shop", lifespan=lifespan)
    errors.install(app)
    routes.install(app)
    return app
