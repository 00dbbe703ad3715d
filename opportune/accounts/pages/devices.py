"""Where somebody is signed in, and the tokens of their programs."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.current import CurrentUser, sign_in_required
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.models import ApiToken, Session, User
from opportune.accounts.pages.frame import done, reauthenticated, show
from opportune.accounts.schemas import TokenCreate
from opportune.accounts.sessions import service
from opportune.accounts.sessions.devices import Devices
from opportune.accounts.sessions.user_agent import describe_user_agent
from opportune.accounts.tokens import bearer
from opportune.db.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency, WriteSession
from opportune.web.forms.forms import Form, read_form
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.rendering.flash import flash

router = APIRouter(prefix="/accounts")


@router.get("/sessions")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> Response:
    async with database.reader(fresh=True) as session:
        rows = await Devices(session, user.id).sessions()
    return show(request, "sessions", sessions=rows, device=describe_user_agent, here=current_session(request))


@router.post("/sessions/{session_id}/end")
async def end_session(request: Request, session_id: RowId, user: CurrentUser, session: WriteSession) -> Response:
    await Devices(session, user.id).end(Session, session_id)
    return done(request, "sessions", "That device is signed out.")


@router.post("/sessions/end-others")
async def end_other_sessions(request: Request, user: CurrentUser, session: WriteSession) -> Response:
    await Devices(session, user.id).end_all(Session, keep=current_session(request))
    return done(request, "sessions", "Every other device is signed out.")


@router.post("/sessions/end-all")
async def end_all_sessions(request: Request, user: CurrentUser, session: WriteSession) -> Response:
    response = RedirectResponse("/", 303)
    await Devices(session, user.id).end_all(Session)
    await service.sign_out(session, request, response)
    flash(request, "You are signed out on every device.")
    return response


@router.get("/tokens")
async def list_tokens(request: Request, user: CurrentUser, database: DatabaseDependency) -> Response:
    async with database.reader(fresh=True) as session:
        return await show_tokens(request, session, user, Form(TokenCreate))


@router.post("/tokens")
async def make_token(request: Request, user: CurrentUser, manager: UserManagerDependency) -> Response:
    """Shows it at once: no other page ever can."""
    form = await read_form(request, TokenCreate)
    token = ""
    if wanted := await reauthenticated(request, manager, user, form):
        if not await manager.is_unchanged(user):  # a new password, at the same moment, ends all that they have
            raise sign_in_required(request)
        token = await bearer.create_token(manager.session, user, wanted.name, timedelta(days=wanted.days))
        form = Form(TokenCreate)
    return await show_tokens(request, manager.session, user, form, token)


@router.post("/tokens/{token_id}/revoke")
async def revoke_token(request: Request, token_id: RowId, user: CurrentUser, session: WriteSession) -> Response:
    await Devices(session, user.id).end(ApiToken, token_id)
    return done(request, "tokens", "The token has ended.")


async def show_tokens(
    request: Request, session: AsyncSession, user: User, form: Form[Any], token: str = ""
) -> Response:
    rows = await Devices(session, user.id).tokens()
    response = show(request, "tokens", form.status, form=form, tokens=rows, token=token)
    response.headers.update(SECRET_HEADERS if token else {})
    return response


def current_session(request: Request) -> int | None:
    """The id of the session that this browser has."""
    row: Session | None = request.state.session
    return row.id if row else None
