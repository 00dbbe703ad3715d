"""Pages of a user's sessions and API tokens."""

from datetime import timedelta
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication import reauthenticated
from opportune.accounts.responses import redirect_with_message, show
from opportune.accounts.schemas import TokenCreate
from opportune.accounts.sessions import cookies
from opportune.accounts.sessions.service import UserSessions, describe_session_device
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.accounts.tokens.scopes import scope_labels, scope_rows
from opportune.accounts.tokens.service import UserTokens, create_token
from opportune.db.models.row_ids import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.forms.form_state import Choices
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts")


@router.get("/sessions")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> Response:
    async with database.reader(fresh=True) as session:
        rows = await UserSessions(session, user.id).list_valid()
    current_id = get_current_session_id(request)
    return show(request, "sessions", sessions=rows, device=describe_session_device, current_id=current_id)


@router.post("/sessions/{session_id}/end")
async def end_session(request: Request, session_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    deleted = await UserSessions(context.session, user.id).delete(session_id)
    record_event(context, user, "session_ended", device=describe_session_device(deleted))
    return redirect_with_message(request, "/accounts/sessions", "That device is signed out.")


@router.post("/sessions/end-others")
async def end_other_sessions(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    await UserSessions(context.session, user.id).delete_all(keep=get_current_session_id(request))
    record_event(context, user, "sessions_ended")
    return redirect_with_message(request, "/accounts/sessions", "Every other device is signed out.")


@router.post("/sessions/end-all")
async def end_all_sessions(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    response = RedirectResponse("/", 303)
    await UserSessions(context.session, user.id).delete_all()
    record_event(context, user, "all_sessions_ended")
    await cookies.sign_out(context.session, request, response)
    flash(request, "You are signed out on every device.")
    return response


def get_current_session_id(request: Request) -> int | None:
    row: Session | None = request.state.session
    return row.id if row else None


@router.get("/tokens")
async def list_tokens(request: Request, user: CurrentUser, database: DatabaseDependency) -> Response:
    async with database.reader(fresh=True) as session:
        return await show_tokens(request, session, user, Form(TokenCreate, choices=list_scope_choices(request)))


@router.post("/tokens")
async def make_token(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    form = await read_form(request, TokenCreate, choices=list_scope_choices(request))
    token = ""
    if data := await reauthenticated(context, user, form):
        if not await context.manager.lock_unchanged(user):  # a concurrent change of the password must end all tokens
            raise make_sign_in_error(request)
        _, token = await create_token(context.session, user, data.name, timedelta(days=data.days), data.scopes)
        record_event(context, user, "token_created", name=data.name)
        form = Form(TokenCreate, choices=list_scope_choices(request))
    return await show_tokens(request, context.session, user, form, token)


@router.post("/tokens/{token_id}/revoke")
async def revoke_token(request: Request, token_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    deleted = await UserTokens(context.session, user.id).delete(token_id)
    record_event(context, user, "token_revoked", name=deleted.name)
    return redirect_with_message(request, "/accounts/tokens", "The token has ended.")


def list_scope_choices(request: Request) -> Choices:
    return {"scopes": scope_labels(request.app)}


async def show_tokens(
    request: Request, session: AsyncSession, user: User, form: Form[Any], token: str = ""
) -> Response:
    rows = await UserTokens(session, user.id).list_valid()
    scopes = {"scope_rows": scope_rows(request.app), "scope_labels": scope_labels(request.app)}
    headers = SECRET_HEADERS if token else None
    return show(request, "tokens", headers=headers, form=form, tokens=rows, token=token, **scopes)
