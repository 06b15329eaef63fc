"""The routes, one module a resource."""

from fastapi import FastAPI

from fastapi_app.routes import health, orders, products


def install(app: FastAPI) -> None:
    for module in (health, products, orders):
        app.include_router(module.router)
