"""The application: uvicorn --factory fastapi_app.main:create_app --workers 2"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from fastapi_app import errors, logs, routes
from fastapi_app.database import Database
from fastapi_app.settings import get_settings


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    database = Database(get_settings())
    app.state.database = database
    try:
        await database.start()
        yield
    finally:
        await database.stop()


def create_app() -> FastAPI:
    logs.configure(get_settings().log_level)
    app = FastAPI(title="Shop", lifespan=lifespan)
    errors.install(app)
    routes.install(app)
    return app
