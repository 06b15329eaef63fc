"""Whether the application can serve: asked by the load balancer."""

import asyncio
import logging

from fastapi import APIRouter, Response, status

from fastapi_app.dependencies import DatabaseDep
from fastapi_app.schemas import HealthOut

logger = logging.getLogger(__name__)
router = APIRouter(tags=["health"])
PATIENCE = 5  # seconds


@router.get("/health")
async def health(database: DatabaseDep, response: Response) -> HealthOut:
    try:
        async with asyncio.timeout(PATIENCE):
            await database.ping()
    except Exception as error:
        logger.warning("health: %s: %s", type(error).__name__, error)
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
        return HealthOut(database=False)
    return HealthOut(database=True)
