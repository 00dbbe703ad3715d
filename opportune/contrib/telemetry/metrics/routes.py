"""`GET /metrics`, added only if METRICS_TOKEN is set."""

import hmac

from fastapi import Depends, HTTPException, Request
from starlette.responses import PlainTextResponse

from opportune.contrib.telemetry.metrics import collect
from opportune.contrib.telemetry.metrics.families import CONTENT_TYPE, add_labels, render_families
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.contrib.telemetry.workers import get_workers
from opportune.web.endpoints.health import METRICS_PATH
from opportune.web.routing.api_router import APIRouter


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
    state = request.app.state
    families = await collect.site_metrics(state) if database else []
    for report in await get_workers(request.app).reports():
        families += add_labels(report.families, worker=str(report.worker))
    return PlainTextResponse(render_families(families), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)
