"""Pages of the request panel."""

from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, HTTPException, Request, Response
from sqlalchemy.exc import DBAPIError

from opportune.contrib.request_panel.plans import query_plan
from opportune.contrib.request_panel.records import MAX_RECORDS, PANEL_PATH, RequestRecord, Statement
from opportune.web import is_htmx, templates
from opportune.web.routing.api_router import APIRouter

ACCESS_DENIED = "Open the request panel on this machine at http://localhost, or sign in as superuser."
FORWARDED = (
    *("forwarded", "via", "cdn-loop", "client-ip", "true-client-ip", "fastly-client-ip", "x-real-", "x-forwarded"),
    *("x-client-", "x-cluster-client-ip", "x-original-", "x-rewrite-url", "x-host", "x-scheme", "x-proxyuser-ip"),
    *("x-proxy-", "cf-", "fly-", "ngrok-", "tailscale-", "x-amzn-", "x-appengine-", "x-arr-", "x-azure-", "x-envoy-"),
    *("x-goog-", "x-ms-", "x-nf-", "x-render-", "x-tunnel-", "x-vercel-", "x-railway-"),
)
"""Beginnings of the names of headers that proxies, hosts and tunnels add to the requests of others."""
REQUEST_GONE = (
    f"The panel does not have this request. It keeps the last {MAX_RECORDS} until the server restarts: {PANEL_PATH}"
)


def is_local(request: Request) -> bool:
    """Return whether a browser on this machine sent the request, without a proxy or tunnel.

    The host name is checked because other sites can let theirs point to this machine (DNS rebinding).
    """
    if request.client is None or any(name.startswith(FORWARDED) for name in request.headers):
        return False
    return all(map(_is_loopback, (request.client.host, request.url.hostname or "")))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def require_access(request: Request) -> None:
    user = getattr(request.state, "user", None)
    if not (is_local(request) or (user and user.is_superuser)):
        raise HTTPException(403, ACCESS_DENIED)


router = APIRouter(prefix=PANEL_PATH, dependencies=[Depends(require_access)])


async def find_record(request: Request, record_id: str) -> RequestRecord:
    record: RequestRecord | None = request.app.state.request_records.find(record_id)
    if record is None:
        raise HTTPException(404, REQUEST_GONE)
    return record


FoundRecord = Annotated[RequestRecord, Depends(find_record)]


@router.get("")
async def list_requests(request: Request) -> Response:
    context = {"records": [*request.app.state.request_records.all], "limit": MAX_RECORDS}
    return templates.render(request, "request_panel/list.html", context)


@router.get("/requests/{record_id}")
async def show_request(request: Request, record: FoundRecord) -> Response:
    return templates.render(request, "request_panel/request.html", {"record": record})


@router.get("/requests/{record_id}/statements/{number}")
async def explain_statement(request: Request, record: FoundRecord, number: int) -> Response:
    """Show the plan of a query."""
    statement = find_query(record, number)
    try:
        plan = await query_plan(request.app.state.database, statement)
    except DBAPIError as error:
        raise HTTPException(409, f"The database cannot explain this statement: {error.orig}") from None
    context = {"record": record, "statement": statement, "plan": plan}
    if is_htmx(request):
        return templates.render_block(request, "request_panel/plan.html", "plan", context)
    return templates.render(request, "request_panel/plan.html", context)


def find_query(record: RequestRecord, number: int) -> Statement:
    """Return a query by its number, from 1.

    Raises:
        HTTPException: The statement does not exist, is not a query, or is too long to be stored.
    """
    if not 0 < number <= len(record.statements):
        raise HTTPException(404, f"This request has no statement {number}. It has {len(record.statements)}.")
    statement = record.statements[number - 1]
    if not statement.is_query:
        raise HTTPException(
            409, "Only a SELECT can be explained. This statement changes data or controls the database."
        )
    if not statement.original:
        raise HTTPException(409, "This statement is too long to be explained. Run EXPLAIN in oppman.py dbshell.")
    return statement
