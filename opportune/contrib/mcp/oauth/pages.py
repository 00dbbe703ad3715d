"""The page on which somebody is asked whether a program may act in their name, and the end of that."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from opportune.accounts.dependencies import AccountCtx, AccountOwner, CurrentUser, sign_in_required
from opportune.accounts.events.service import record_event
from opportune.accounts.models import User
from opportune.accounts.reauthentication.identity import reauthenticated
from opportune.accounts.responses import PRIVATE_HEADERS, redirect_with_message
from opportune.accounts.schemas import Reauthentication
from opportune.accounts.users.context import AccountContext
from opportune.contrib.mcp.oauth import programs
from opportune.contrib.mcp.oauth.addresses import OAUTH_PATH
from opportune.contrib.mcp.oauth.authorization import (
    AuthorizationRequest,
    RefusedRequest,
    UntrustedRequest,
    create_code,
    read_request,
)
from opportune.contrib.mcp.oauth.redirects import host_of, opens_an_editor
from opportune.contrib.mcp.oauth.scopes import scope_words
from opportune.db.models.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.text import Line
from opportune.web.forms.forms import Form, read_form
from opportune.web.rate_limit import HOUR_SECONDS, RateLimit
from opportune.web.rendering.templates import templates

CONSENTS_PER_USER = RateLimit("mcp.consents", 20, HOUR_SECONDS)

router = APIRouter(prefix=OAUTH_PATH, include_in_schema=False)


class Consent(Reauthentication):
    decision: Literal["allow", "deny"] = "deny"
    scopes: list[Annotated[Line, StringConstraints(max_length=100)]] = Field([], min_length=1, max_length=100)


@router.get("/authorize")
async def ask(request: Request, user: AccountOwner, database: DatabaseDependency) -> Response:
    """What a program wants, in words. Nobody is sent anywhere before they have said something."""
    async with database.reader(fresh=True) as session:
        try:
            asked = await read_request(session, request.app, request.query_params)
        except (UntrustedRequest, RefusedRequest) as refusal:
            return _refused(request, refusal)
    return _show(request, asked, Form(Consent, {"scopes": asked.scopes}))


@router.post("/authorize")
async def answer(request: Request, user: AccountOwner, context: AccountCtx, database: DatabaseDependency) -> Response:
    """The request is in the address still, and is looked at again: the form says only yes, or no, and to what."""
    async with database.reader(fresh=True) as session:
        try:
            asked = await read_request(session, request.app, request.query_params)
        except (UntrustedRequest, RefusedRequest) as refusal:
            return _refused(request, refusal)
    choices = {scope: words.label for scope, words in scope_words(request.app, asked.scopes).items()}
    form = await read_form(request, Consent, choices={"scopes": choices})
    if form.value("decision") != "allow":
        no = asked.address(error="access_denied")
        return _onward(request, asked, no, by_itself=not opens_an_editor(no))  # which nobody has asked for
    await context.limiter.hit(CONSENTS_PER_USER.by(user.id))
    if given := await reauthenticated(context, user, form):
        try:
            return await _allow(request, context, user, asked, given)
        except UntrustedRequest as refusal:
            return _refused(request, refusal)
    return _show(request, asked, form)


@router.post("/programs/{grant_id}/disconnect")
async def disconnect(request: Request, grant_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    name = await programs.disconnect(context.session, user, grant_id)
    record_event(context, user, "token_revoked", name=name)
    return redirect_with_message(request, "profile", f"{name} is disconnected.")


async def _allow(
    request: Request, context: AccountContext, user: User, asked: AuthorizationRequest, given: Consent
) -> Response:
    if not await context.manager.is_unchanged(user):  # a new password, at the same moment, ends all that they have
        raise sign_in_required(request)
    code = await create_code(context.session, asked, request.state.session, given.scopes)
    record_event(context, user, "program_connected", name=asked.client.name, scopes=", ".join(given.scopes))
    return _onward(request, asked, asked.address(code=code))


def _show(request: Request, asked: AuthorizationRequest, form: Form[Consent]) -> Response:
    words = scope_words(request.app, asked.scopes)
    shown = {"client": asked.client, "host": host_of(asked.redirect_uri), "scope_words": words, "form": form}
    return _private(request, "authorize", shown, form.status)


def _onward(request: Request, asked: AuthorizationRequest, address: str, *, by_itself: bool = True) -> Response:
    """A page that leads on by itself: after a form browsers go nowhere that `form-action` does not name."""
    return _private(request, "onward", {"client": asked.client, "address": address, "by_itself": by_itself})


def _refused(request: Request, refusal: UntrustedRequest | RefusedRequest) -> Response:
    """It leads nowhere by itself: else anybody could register where links to this site end."""
    address = refusal.address if isinstance(refusal, RefusedRequest) else ""
    return _private(request, "refused", {"words": str(refusal), "address": address, "host": host_of(address)}, 400)


def _private(request: Request, template: str, context: dict[str, object], status: int = 200) -> Response:
    page = templates.render(request, f"mcp/{template}.html", context, status)
    page.headers.update(PRIVATE_HEADERS)
    return page
