"""Status page as JSON, protected by METRICS_TOKEN, so that it works without the database."""

import re
from dataclasses import asdict

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from opportune.admin.status.status import read_status, worst_state
from opportune.config.languages import SOURCE_LANGUAGE
from opportune.contrib.telemetry.metrics.routes import metrics_token_required
from opportune.i18n import use_language
from opportune.web.endpoints.health import STATUS_PATH
from opportune.web.routing.api_router import APIRouter

EMAIL_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")

router = APIRouter(include_in_schema=False, dependencies=[Depends(metrics_token_required)])


@router.get(STATUS_PATH)
async def status(request: Request) -> JSONResponse:
    """Respond with 503 if a part has a fault, for monitors that only check the status code."""
    with use_language(SOURCE_LANGUAGE):  # monitors compare texts
        groups = await read_status(request.app)
    lights = {group.title: [_without_addresses(asdict(light)) for light in group.lights] for group in groups}
    body = {"well": worst_state(groups) != "fault", "groups": lights}
    return JSONResponse(body, 200 if body["well"] else 503, {"Cache-Control": "no-store"})


def _without_addresses(light: dict[str, str]) -> dict[str, str]:
    """Remove e-mail addresses: the error of a mail server can contain the recipient."""
    return {name: EMAIL_ADDRESS.sub("[…]", value) for name, value in light.items()}
