"""`GET /metrics`, for whoever has METRICS_TOKEN. Such a site alone has this address."""

import hmac

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import PlainTextResponse

from opportune.ops.telemetry.metrics import collect
from opportune.ops.telemetry.metrics.families import CONTENT_TYPE, labelled, text_of
from opportune.ops.telemetry.workers import workers_of
from opportune.web.health import METRICS_PATH


async def metrics_token_required(request: Request) -> None:
    """Refuse whoever does not send METRICS_TOKEN."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    token: str = request.app.state.settings.metrics_token.get_secret_value()
    is_right = hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
    if scheme.lower() != "bearer" or not is_right:
        raise HTTPException(401, "Send METRICS_TOKEN as a bearer token.", {"WWW-Authenticate": "Bearer"})


router = APIRouter(include_in_schema=False, dependencies=[Depends(metrics_token_required)])


@router.get(METRICS_PATH)
async def metrics(request: Request, database: bool = True) -> PlainTextResponse:
    """All workers' numbers; without the database's where it is to sleep on: `?database=false`."""
    state = request.app.state
    families = await collect.of_site(state) if database else []
    for report in await workers_of(request.app).reports():
        families += labelled(report.families, worker=str(report.worker))
    return PlainTextResponse(text_of(families), headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)
