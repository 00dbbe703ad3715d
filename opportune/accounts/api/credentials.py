"""API of a user's sessions and API tokens."""

from collections.abc import Sequence
from datetime import timedelta

from fastapi import Request, Response

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.models import ApiToken, Session
from opportune.accounts.reauthentication import require_password
from opportune.accounts.schemas import SessionRead, TokenCreate, TokenCreated, TokenRead
from opportune.accounts.sessions.service import UserSessions, describe_session_device
from opportune.accounts.sign_in_redirects import make_sign_in_error
from opportune.accounts.tokens.dependencies import require_scope
from opportune.accounts.tokens.scopes import require_known_scopes
from opportune.accounts.tokens.service import UserTokens, create_token
from opportune.db.models.row_ids import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.middleware.compression import SECRET_HEADERS
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me", tags=["accounts"])


@router.get("/sessions")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> list[SessionRead]:
    """Return the user's sessions, last used first."""
    async with database.reader(fresh=True) as session:
        rows = await UserSessions(session, user.id).list_valid()
    current: Session | None = request.state.session
    return [make_session_read(row, is_current=current is not None and current.id == row.id) for row in rows]


@router.delete("/sessions", status_code=204)
async def end_sessions(user: CurrentUser, context: AccountCtx) -> None:
    """End all sessions. API tokens stay."""
    await UserSessions(context.session, user.id).delete_all()
    record_event(context, user, "all_sessions_ended")


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: RowId, user: CurrentUser, context: AccountCtx) -> None:
    deleted = await UserSessions(context.session, user.id).delete(session_id)
    record_event(context, user, "session_ended", device=describe_session_device(deleted))


def make_session_read(row: Session, *, is_current: bool) -> SessionRead:
    """Describe a session. The address of a superuser who is signed in as the user stays hidden."""
    values = row.model_dump()
    if row.is_impersonation:
        values["address"] = ""
    return SessionRead(
        **values, device=describe_session_device(row), is_current=is_current, is_impersonation=row.is_impersonation
    )


@router.get("/tokens", response_model=list[TokenRead])
async def list_tokens(user: CurrentUser, database: DatabaseDependency) -> Sequence[ApiToken]:
    """Return the valid tokens, newest first."""
    async with database.reader(fresh=True) as session:
        return await UserTokens(session, user.id).list_valid()


@router.post("/tokens", name="create_token", status_code=201)
async def create_api_token(
    request: Request, response: Response, body: TokenCreate, user: CurrentUser, context: AccountCtx
) -> TokenCreated:
    """Create a token. Only this response contains it. A token cannot create another one with more scopes."""
    require_known_scopes(body.scopes, request.app, "scopes")
    for scope in body.scopes:
        require_scope(request, scope)
    await require_password(context, user, body.current_password)
    if not await context.manager.lock_unchanged(user):  # a concurrent change of the password must end all tokens
        raise make_sign_in_error(request)
    row, token = await create_token(context.session, user, body.name, timedelta(days=body.days), body.scopes)
    record_event(context, user, "token_created", name=body.name)
    response.headers.update(SECRET_HEADERS)
    return TokenCreated(token=token, **row.model_dump())


@router.delete("/tokens", status_code=204)
async def revoke_tokens(user: CurrentUser, context: AccountCtx) -> None:
    await UserTokens(context.session, user.id).delete_all()
    record_event(context, user, "tokens_revoked")


@router.delete("/tokens/{token_id}", status_code=204)
async def revoke_token(token_id: RowId, user: CurrentUser, context: AccountCtx) -> None:
    deleted = await UserTokens(context.session, user.id).delete(token_id)
    record_event(context, user, "token_revoked", name=deleted.name)
