"""Pages to authorize and disconnect programs, a panel of the profile page, and account events."""

from collections.abc import Mapping
from typing import Any, Literal

from fastapi import Request, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import Reauthentication, User, reauthenticated, record_event
from opportune.accounts.dependencies import AccountCtx, AccountOwner, CurrentUser
from opportune.accounts.events.kinds import EventKind
from opportune.accounts.models import ApiToken
from opportune.accounts.responses import PRIVATE_HEADERS, redirect_with_message
from opportune.accounts.schemas import ScopeNames
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.accounts.tokens.scopes import scope_labels
from opportune.accounts.users.context import AccountContext
from opportune.contrib.mcp.oauth.authorization import (
    AuthorizationRequest,
    RefusedRequest,
    UntrustedRequest,
    create_code,
    read_request,
)
from opportune.contrib.mcp.oauth.models import McpClient, McpGrant
from opportune.contrib.mcp.oauth.redirects import host_of, opens_an_editor
from opportune.contrib.mcp.oauth.scopes import describe_scopes
from opportune.contrib.mcp.oauth.urls import OAUTH_PATH
from opportune.db import Database, DatabaseDependency, RowId, utc_now
from opportune.errors import require_found
from opportune.feature import Panel
from opportune.i18n import gettext
from opportune.web import HOUR_SECONDS, APIRouter, Form, RateLimit, read_form, templates

CONSENTS_PER_USER = RateLimit("mcp.consents", 20, HOUR_SECONDS)

router = APIRouter(prefix=OAUTH_PATH, include_in_schema=False)


async def _list_connected_programs(session: AsyncSession, user: User) -> Mapping[str, Any]:
    """Return the programs with a valid token, newest first."""
    query = select(McpGrant, McpClient, ApiToken).join_from(McpGrant, McpClient).join(ApiToken)
    query = query.where(col(McpGrant.user_id) == user.id, col(ApiToken.expires_at) > utc_now())
    rows = (await session.execute(query.order_by(col(McpGrant.id).desc()))).all()
    programs = [(grant, client.name, host_of(grant.redirect_uri), token) for grant, client, token in rows]
    return {"programs": programs, "scope_labels": scope_labels}


profile_panel = Panel("mcp/profile_panel.html", _list_connected_programs)
EVENTS = (
    EventKind(
        "program_connected",
        "{name} may use your account",
        "You have allowed a program to use your account: {scopes}. You can disconnect it on your profile page.",
        icon="ti-plug-connected",
    ),
    EventKind(
        "program_code_reused",
        "{name} was signed out",
        "Its authorization code was used twice. The program may have a bug, or another program may have a copy of the"
        " code. Its access has ended. Connect the program again.",
        icon="ti-plug-connected",
    ),
)


class Consent(Reauthentication):
    decision: Literal["allow", "deny"] = "deny"
    scopes: ScopeNames = []


@router.get("/authorize")
async def show_consent(request: Request, user: AccountOwner, database: DatabaseDependency) -> Response:
    """Show the request of a program. There is no redirect before the user's decision."""
    authorization = await _read_authorization(request, database)
    if isinstance(authorization, Response):
        return authorization
    return _render_consent(request, authorization, Form(Consent, {"scopes": authorization.scopes}))


@router.post("/authorize")
async def authorize(
    request: Request, user: AccountOwner, context: AccountCtx, database: DatabaseDependency
) -> Response:
    """Handle the user's decision. The request is still in the query and is validated again."""
    authorization = await _read_authorization(request, database)
    if isinstance(authorization, Response):
        return authorization
    descriptions = describe_scopes(request.app, authorization.scopes)
    choices = {scope: description.label for scope, description in descriptions.items()}
    form = await read_form(request, Consent, choices={"scopes": choices})
    if form.value("decision") != "allow":
        denied = authorization.url(error="access_denied")
        return _render_redirect(request, authorization, denied, automatic=not opens_an_editor(denied))
    await context.limiter.hit(CONSENTS_PER_USER.by(user.id))
    if consent := await reauthenticated(context, user, form):
        try:
            return await _allow(request, context, user, authorization, consent)
        except UntrustedRequest as refusal:
            return _render_refusal(request, refusal)
    return _render_consent(request, authorization, form)


@router.post("/programs/{grant_id}/disconnect")
async def disconnect(request: Request, grant_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    """Delete the token of a program."""
    query = select(ApiToken).join(McpGrant).where(col(McpGrant.id) == grant_id, col(McpGrant.user_id) == user.id)
    token = require_found(await context.session.scalar(query))
    await context.session.delete(token)
    record_event(context, user, "token_revoked", name=token.name)
    return redirect_with_message(request, "/accounts/profile", gettext("%(name)s is disconnected.", name=token.name))


async def _read_authorization(request: Request, database: Database) -> AuthorizationRequest | Response:
    """Return the valid request of a program, or the page that explains its refusal."""
    async with database.reader(fresh=True) as session:
        try:
            return await read_request(session, request.app, request.query_params)
        except (UntrustedRequest, RefusedRequest) as refusal:
            return _render_refusal(request, refusal)


async def _allow(
    request: Request, context: AccountContext, user: User, authorization: AuthorizationRequest, consent: Consent
) -> Response:
    if not await context.manager.lock_unchanged(user):  # a concurrent change of the password ends all sessions
        raise make_sign_in_error(request)
    code = await create_code(context.session, authorization, request.state.session, consent.scopes)
    record_event(context, user, "program_connected", name=authorization.client.name, scopes=", ".join(consent.scopes))
    return _render_redirect(request, authorization, authorization.url(code=code))


def _render_consent(request: Request, authorization: AuthorizationRequest, form: Form[Consent]) -> Response:
    descriptions = describe_scopes(request.app, authorization.scopes)
    host = host_of(authorization.redirect_uri)
    context = {"client": authorization.client, "host": host, "scope_descriptions": descriptions, "form": form}
    return _render(request, "authorize", context, form.status)


def _render_redirect(
    request: Request, authorization: AuthorizationRequest, url: str, *, automatic: bool = True
) -> Response:
    """Render a page that redirects, because `form-action` forbids a redirect after a form."""
    return _render(request, "onward", {"client": authorization.client, "program_url": url, "automatic": automatic})


def _render_refusal(request: Request, refusal: UntrustedRequest | RefusedRequest) -> Response:
    """Render an error without a redirect, because otherwise any program could create an open redirect."""
    url = refusal.url if isinstance(refusal, RefusedRequest) else ""
    return _render(request, "refused", {"message": str(refusal), "program_url": url, "host": host_of(url)}, 400)


def _render(request: Request, template: str, context: dict[str, object], status: int = 200) -> Response:
    page = templates.render(request, f"mcp/{template}.html", context, status)
    page.headers.update(PRIVATE_HEADERS)
    return page
