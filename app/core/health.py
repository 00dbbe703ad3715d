"""What hosts ask to know whether to send visitors here. No detail for strangers: the log has it."""

import logging

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from app.core.db.migrations.state import pending_in
from app.core.db.session import DatabaseDependency
from app.core.errors import OperatorError

logger = logging.getLogger(__name__)

# Leapcell polls these two; the second is the spelling that its older examples answered.
LEAPCELL = ("/kaithhealth", "/kaithheathcheck")
PATHS = {"/health", "/health/live", "/health/ready", *LEAPCELL}

METHODS = ["GET", "HEAD", "OPTIONS"]

router = APIRouter(include_in_schema=False)


@router.api_route("/health/live", methods=METHODS)
@router.api_route(LEAPCELL[0], methods=METHODS)
@router.api_route(LEAPCELL[1], methods=METHODS)
async def live() -> dict[str, bool]:
    """The process answers. Asks no database: a host must not restart us because that one is down."""
    return {"healthy": True}


@router.api_route("/health", methods=METHODS)
async def health(database: DatabaseDependency) -> JSONResponse:
    """Reader and writer each answer."""
    return _answer(await _database_answers(database))


@router.api_route("/health/ready", methods=METHODS)
async def ready(request: Request, database: DatabaseDependency) -> JSONResponse:
    """The database answers and has every migration."""
    return _answer(await _database_answers(database) and await _is_migrated(request.app))


async def _database_answers(database: DatabaseDependency) -> bool:
    try:
        await database.ping()
    except OperatorError as error:
        logger.warning("health: %s", error)
        return False
    return True


async def _is_migrated(app: FastAPI) -> bool:
    """Asked until it is so: under a running server no migration goes missing."""
    state = app.state
    if not getattr(state, "migrated", False):
        state.migrated = not await pending_in(state.database, [feature.name for feature in state.features])
    migrated: bool = state.migrated
    return migrated


def _answer(healthy: bool) -> JSONResponse:
    return JSONResponse({"healthy": healthy}, 200 if healthy else 503, {"Cache-Control": "no-store"})
