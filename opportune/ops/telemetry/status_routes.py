"""The same as JSON, for whoever has METRICS_TOKEN: also while the database is away, when nobody can sign in."""

import re
from dataclasses import asdict

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from opportune.admin.status.status import is_well, read_status
from opportune.ops.telemetry.metrics.routes import metrics_token_required
from opportune.web.health import STATUS_PATH

EMAIL_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")

router = APIRouter(include_in_schema=False, dependencies=[Depends(metrics_token_required)])


@router.get(STATUS_PATH)
async def status(request: Request) -> JSONResponse:
    """503 where something is broken, for monitors that look at no more than that."""
    groups = await read_status(request.app)
    lights = {group.title: [_without_people(asdict(light)) for light in group.lights] for group in groups}
    told = {"well": is_well(groups), "groups": lights}
    return JSONResponse(told, 200 if told["well"] else 503, {"Cache-Control": "no-store"})


def _without_people(light: dict[str, str]) -> dict[str, str]:
    """What a mail server refuses it may tell with the address of whom the mail was for."""
    return {name: EMAIL_ADDRESS.sub("[…]", words) for name, words in light.items()}
