"""Sessions and tokens."""

from collections.abc import Sequence
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from opportune.accounts.api.me import confirm
from opportune.accounts.current import CurrentUser, sign_in_required
from opportune.accounts.dependencies import UserManagerDependency
from opportune.accounts.models import ApiToken, Session
from opportune.accounts.schemas import SessionRead, TokenCreate, TokenCreated, TokenRead
from opportune.accounts.sessions.devices import Devices
from opportune.accounts.sessions.user_agent import describe_user_agent
from opportune.accounts.tokens import bearer
from opportune.db.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency, WriteSession
from opportune.web.middleware.compression import SECRET_HEADERS

router = APIRouter(prefix="/users/me", tags=["accounts"])


@router.get("/sessions")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> list[SessionRead]:
    """Where one is signed in, the last used first."""
    async with database.reader(fresh=True) as session:
        rows = await Devices(session, user.id).sessions()
    here: Session | None = request.state.session
    return [shown(row, is_current=here is not None and here.id == row.id) for row in rows]


@router.delete("/sessions", status_code=204)
async def end_sessions(user: CurrentUser, session: WriteSession) -> None:
    """Sign out everywhere; tokens stay."""
    await Devices(session, user.id).end_all(Session)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    await Devices(session, user.id).end(Session, session_id)


@router.get("/tokens", response_model=list[TokenRead])
async def list_tokens(user: CurrentUser, database: DatabaseDependency) -> Sequence[ApiToken]:
    """The newest first."""
    async with database.reader(fresh=True) as session:
        return await Devices(session, user.id).tokens()


@router.post("/tokens", status_code=201)
async def make_token(
    request: Request, response: Response, wanted: TokenCreate, user: CurrentUser, manager: UserManagerDependency
) -> TokenCreated:
    """The token is in this answer and in no other."""
    await confirm(request, manager, user, wanted.current_password)
    if not await manager.is_unchanged(user):  # a new password, at the same moment, ends all that they have
        raise sign_in_required(request)
    token = await bearer.create_token(manager.session, user, wanted.name, timedelta(days=wanted.days))
    made, *_older = await Devices(manager.session, user.id).tokens()
    response.headers.update(SECRET_HEADERS)
    return TokenCreated(token=token, **made.model_dump())


@router.delete("/tokens", status_code=204)
async def revoke_tokens(user: CurrentUser, session: WriteSession) -> None:
    await Devices(session, user.id).end_all(ApiToken)


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    await Devices(session, user.id).end(ApiToken, token_id)


def shown(row: Session, *, is_current: bool) -> SessionRead:
    return SessionRead(**row.model_dump(), device=describe_user_agent(row.agent), is_current=is_current)
