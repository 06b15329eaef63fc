"""Which HTTP status a fault of the database gets."""

import logging
from collections.abc import Iterator

import asyncpg
from fastapi import FastAPI, Request, status
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

logger = logging.getLogger(__name__)

# insufficient_resources, operator_intervention and connection_exception, by class.
UNAVAILABLE = ("53", "57P", "08")
QUERY_CANCELED = "57014"
RETRY_AFTER = {"Retry-After": "1"}
# asyncpg raises the last one where a connection was lost while it prepared a statement, and
# SQLAlchemy then rolled back.
LOST = (OSError, PoolTimeout, asyncpg.InterfaceError, asyncpg.InternalClientError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or getattr(error, "orig", None)


def sqlstate_of(error: BaseException) -> str | None:
    """The server's code, however deeply SQLAlchemy has wrapped it."""
    for cause in _causes(error):
        if code := getattr(cause, "sqlstate", None):
            return code
    return None


async def database_fault(request: Request, error: Exception) -> JSONResponse:
    code = sqlstate_of(error)
    reason = str(getattr(error, "orig", None) or error) or type(error).__name__
    logger.error("%s %s: SQLSTATE %s: %s", request.method, request.url.path, code, reason)
    lost = isinstance(error, LOST) or getattr(error, "connection_invalidated", False)
    if lost or (code or "").startswith(UNAVAILABLE):
        return JSONResponse(
            {"detail": "the database is not available", "sqlstate": code},
            status.HTTP_503_SERVICE_UNAVAILABLE,
            RETRY_AFTER,
        )
    if code == QUERY_CANCELED:
        return await timed_out(request, error)
    return JSONResponse(
        {"detail": "internal error", "sqlstate": code}, status.HTTP_500_INTERNAL_SERVER_ERROR
    )


async def timed_out(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s: the database took too long", request.method, request.url.path)
    return JSONResponse(
        {"detail": "the database took too long"}, status.HTTP_504_GATEWAY_TIMEOUT, RETRY_AFTER
    )


def install(app: FastAPI) -> None:
    for kind in (DBAPIError, asyncpg.PostgresError, *LOST):
        app.add_exception_handler(kind, database_fault)
    # asyncpg's command_timeout; more particular than OSError, which it derives from.
    app.add_exception_handler(TimeoutError, timed_out)
