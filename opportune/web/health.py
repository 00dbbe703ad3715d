"""Health checks for hosts and load balancers. Details are only in the log."""

import asyncio
import logging
import time
from collections.abc import Collection
from typing import cast

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from opportune.db.database import Database, Role
from opportune.db.errors import UNAVAILABLE
from opportune.db.migrations.history import find_pending_migrations_in
from opportune.services.tasks import run_with_timeout
from opportune.web.machine_paths import LEAPCELL_PATHS
from opportune.web.routing.api_router import APIRouter

logger = logging.getLogger(__name__)

METHODS = ["GET", "HEAD", "OPTIONS"]

router = APIRouter(include_in_schema=False)


@router.api_route("/health/live", methods=METHODS)
@router.api_route(LEAPCELL_PATHS[0], methods=METHODS)
@router.api_route(LEAPCELL_PATHS[1], methods=METHODS)
async def live() -> dict[str, bool]:
    """Check the process without the database, because the host should not restart it when the database is down."""
    return {"healthy": True}


@router.api_route("/health", methods=METHODS)
async def health(request: Request) -> JSONResponse:
    """Return 200 if the database responds for reading and writing."""
    return _health_response(healthy=not await health_check_of(request.app).failures())


@router.api_route("/health/ready", methods=METHODS)
async def ready(request: Request) -> JSONResponse:
    """Return 200 if the writer responds, all migrations are applied and the process is not stopping."""
    if is_stopping(request.app):
        return _health_response(healthy=False)
    failures, migrated = await asyncio.gather(health_check_of(request.app).failures(), _is_migrated(request.app))
    return _health_response(healthy="writer" not in failures and migrated)


def is_stopping(app: FastAPI) -> bool:
    """Return whether the process is stopping and should get no new visitors."""
    return getattr(app.state, "is_draining", False) or app.state.shutting_down.is_set()


class HealthCheck:
    """Check of the database, at most once a second for all requests."""

    timeout_seconds = 2
    cache_seconds = 1

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[Collection[Role]] | None = None
        self._checked_at = 0.0

    async def failures(self) -> Collection[Role]:
        """Return the roles (reader, writer) whose server does not respond in two seconds."""
        task = self._task
        if task is None or (task.done() and time.monotonic() - self._checked_at > self.cache_seconds):
            task = self._task = asyncio.create_task(self._check())
        return await asyncio.shield(task)  # other requests wait for the same task

    async def _check(self) -> Collection[Role]:
        failures = await self._database.failures(self.timeout_seconds)
        for role, line in failures.items():
            logger.warning("health: %s: %s", role, line)
        self._checked_at = time.monotonic()
        return failures.keys()


def health_check_of(app: FastAPI) -> HealthCheck:
    if not hasattr(app.state, "health_check"):
        app.state.health_check = HealthCheck(app.state.database)
    return cast("HealthCheck", app.state.health_check)


async def _is_migrated(app: FastAPI) -> bool:
    """Return whether all migrations are applied. A positive result is cached."""
    if getattr(app.state, "is_migrated", False):
        return True
    names = [feature.name for feature in app.state.features]
    search = find_pending_migrations_in(app.state.database, names)
    try:
        app.state.is_migrated = not await run_with_timeout(HealthCheck.timeout_seconds, search)
    except (TimeoutError, *UNAVAILABLE):
        return False
    return bool(app.state.is_migrated)


def _health_response(*, healthy: bool) -> JSONResponse:
    return JSONResponse({"healthy": healthy}, 200 if healthy else 503, {"Cache-Control": "no-store"})
