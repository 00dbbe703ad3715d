"""What hosts ask to know whether to send visitors here. No detail for strangers: the log has it."""

import asyncio
import logging
import time
from collections.abc import Collection

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from opportune.db.database import Database, Role
from opportune.db.errors import UNAVAILABLE
from opportune.db.migrations.history import pending_migrations_in
from opportune.runtime.timeouts import run_with_timeout

logger = logging.getLogger(__name__)

# Leapcell polls these two; the second is the spelling that its older examples answered.
LEAPCELL = ("/kaithhealth", "/kaithheathcheck")
HEALTH_PATHS = {"/health", "/health/live", "/health/ready", *LEAPCELL}
METRICS_PATH = "/metrics"
STATUS_PATH = "/metrics/status"
MACHINE_PATHS = {*HEALTH_PATHS, METRICS_PATH, STATUS_PATH}
"""Paths for machines: any host name is accepted, and requests are not logged."""

METHODS = ["GET", "HEAD", "OPTIONS"]

router = APIRouter(include_in_schema=False)


@router.api_route("/health/live", methods=METHODS)
@router.api_route(LEAPCELL[0], methods=METHODS)
@router.api_route(LEAPCELL[1], methods=METHODS)
async def live() -> dict[str, bool]:
    """The process answers. Asks no database: a host must not restart us because that one is down."""
    return {"healthy": True}


@router.api_route("/health", methods=METHODS)
async def health(request: Request) -> JSONResponse:
    """Reader and writer each answer."""
    return _answer(not await health_check_of(request.app).failures())


@router.api_route("/health/ready", methods=METHODS)
async def ready(request: Request) -> JSONResponse:
    """Ready if the writer answers, all migrations are applied and the process is not stopping."""
    if is_ending(request.app):
        return _answer(healthy=False)
    failures, migrated = await asyncio.gather(health_check_of(request.app).failures(), _is_migrated(request.app))
    return _answer("writer" not in failures and migrated)


def is_ending(app: FastAPI) -> bool:
    """Whether the process was told to stop: new visitors are for others."""
    return getattr(app.state, "is_draining", False) or app.state.shutting_down.is_set()


class HealthCheck:
    """Checks the database: once at a time, and at most once a second, however many ask."""

    timeout_seconds = 2
    cache_seconds = 1

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looking: asyncio.Task[Collection[Role]] | None = None
        self._looked = 0.0

    async def failures(self) -> Collection[Role]:
        """The servers that give no sign of life in two seconds."""
        look = self._looking
        if look is None or (look.done() and time.monotonic() - self._looked > self.cache_seconds):
            look = self._looking = asyncio.create_task(self._look())
        return await asyncio.shield(look)  # who asks may go away, and others wait for the same

    async def _look(self) -> Collection[Role]:
        failures = await self._database.failures(self.timeout_seconds)
        for role, line in failures.items():
            logger.warning("health: %s: %s", role, line)
        self._looked = time.monotonic()
        return failures.keys()


def health_check_of(app: FastAPI) -> HealthCheck:
    if not hasattr(app.state, "health_check"):
        app.state.health_check = HealthCheck(app.state.database)
    health_check: HealthCheck = app.state.health_check
    return health_check


async def _is_migrated(app: FastAPI) -> bool:
    """Asked until it is so: under a running server no migration goes missing."""
    state = app.state
    if not getattr(state, "migrated", False):
        names = [feature.name for feature in state.features]
        try:
            state.migrated = not await run_with_timeout(
                HealthCheck.timeout_seconds, pending_migrations_in(state.database, names)
            )
        except (TimeoutError, *UNAVAILABLE):
            return False
    migrated: bool = state.migrated
    return migrated


def _answer(healthy: bool) -> JSONResponse:
    return JSONResponse({"healthy": healthy}, 200 if healthy else 503, {"Cache-Control": "no-store"})
