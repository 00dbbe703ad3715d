"""API of a user's sessions."""

from fastapi import Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.models import Session
from opportune.accounts.schemas import SessionRead
from opportune.accounts.sessions.service import UserSessions, describe_session_device
from opportune.db.models.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/sessions", tags=["accounts"])


@router.get("")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> list[SessionRead]:
    """Return the user's sessions, last used first."""
    async with database.reader(fresh=True) as session:
        rows = await UserSessions(session, user.id).list_valid()
    current: Session | None = request.state.session
    return [make_session_read(row, is_current=current is not None and current.id == row.id) for row in rows]


@router.delete("", status_code=204)
async def end_sessions(user: CurrentUser, context: AccountCtx) -> None:
    """End all sessions. API tokens stay."""
    await UserSessions(context.session, user.id).delete_all()
    record_event(context, user, "all_sessions_ended")


@router.delete("/{session_id}", status_code=204)
async def end_session(session_id: RowId, user: CurrentUser, context: AccountCtx) -> None:
    deleted = await UserSessions(context.session, user.id).delete(session_id)
    record_event(context, user, "session_ended", device=describe_session_device(deleted))


def make_session_read(row: Session, *, is_current: bool) -> SessionRead:
    is_impersonation = row.impersonator_session_id is not None
    values = row.model_dump() | ({"address": ""} if is_impersonation else {})
    return SessionRead(
        **values, device=describe_session_device(row), is_current=is_current, is_impersonation=is_impersonation
    )
