"""Metrics and status page for monitors, which send METRICS_TOKEN. Without this setting they do not exist."""

import hmac
import re
from dataclasses import asdict

from fastapi import Depends, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.responses import PlainTextResponse

from opportune.config.languages import SOURCE_LANGUAGE
from opportune.contrib.operations.status import read_status, worst_state
from opportune.contrib.telemetry import collect
from opportune.contrib.telemetry.prometheus import CONTENT_TYPE, add_labels, render_families
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.contrib.telemetry.workers import get_workers
from opportune.i18n import use_language
from opportune.web.machine_paths import METRICS_PATH, STATUS_PATH
from opportune.web.routing.api_router import APIRouter

EMAIL_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+")


async def metrics_token_required(request: Request) -> None:
    """Respond with 401 unless the request has METRICS_TOKEN as its bearer token."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    token: str = request.app.state.settings.of(TelemetrySettings).metrics_token.get_secret_value()
    is_valid = hmac.compare_digest(value.strip().encode("latin-1"), token.encode())
    if scheme.lower() != "bearer" or not is_valid:
        raise HTTPException(401, "Send METRICS_TOKEN as a bearer token.", {"WWW-Authenticate": "Bearer"})


router = APIRouter(include_in_schema=False, dependencies=[Depends(metrics_token_required)])


@router.get(METRICS_PATH)
async def metrics(request: Request, database: bool = True) -> PlainTextResponse:
    """Return the metrics of all workers. `?database=false` skips queries, so that a sleeping database is not woken."""
    families = await collect.site_metrics(request.app.state) if database else []
    for report in await get_workers(request.app).reports():
        families += add_labels(report.families, worker=str(report.worker))
    return PlainTextResponse(render_families(families), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)


@router.get(STATUS_PATH)
async def status(request: Request) -> JSONResponse:
    """Return the status page as JSON. A fault gives 503, for monitors that only check the status code."""
    with use_language(SOURCE_LANGUAGE):  # monitors compare texts
        groups = await read_status(request.app)
    lights = {group.title: [_without_addresses(asdict(light)) for light in group.lights] for group in groups}
    body = {"well": worst_state(groups) != "fault", "groups": lights}
    return JSONResponse(body, 200 if body["well"] else 503, {"Cache-Control": "no-store"})


def _without_addresses(light: dict[str, str]) -> dict[str, str]:
    """Remove e-mail addresses: the error of a mail server can contain the recipient."""
    return {name: EMAIL_ADDRESS.sub("[…]", value) for name, value in light.items()}
