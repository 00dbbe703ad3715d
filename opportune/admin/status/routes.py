"""The same as JSON, for whoever has METRICS_TOKEN: also while the database is away, when nobody can sign in."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from opportune.admin.status.status import is_well, read_status
from opportune.telemetry.metrics.routes import metrics_token_required
from opportune.web.health import STATUS_PATH

router = APIRouter(include_in_schema=False, dependencies=[Depends(metrics_token_required)])


@router.get(STATUS_PATH)
async def status(request: Request) -> JSONResponse:
    """503 where something is broken, for monitors that look at no more than that."""
    groups = await read_status(request.app)
    told = {"well": is_well(groups), "groups": {group.title: [*map(asdict, group.lights)] for group in groups}}
    return JSONResponse(told, 200 if told["well"] else 503, {"Cache-Control": "no-store"})
