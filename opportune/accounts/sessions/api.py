"""Where somebody is signed in."""

from fastapi import APIRouter, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.models import Session
from opportune.accounts.schemas import SessionRead
from opportune.accounts.sessions.service import UserSessions
from opportune.accounts.sessions.user_agent import describe_user_agent
from opportune.db.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency

IMPERSONATOR = "A superuser, signed in as you"

router = APIRouter(prefix="/users/me/sessions", tags=["accounts"])


@router.get("")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> list[SessionRead]:
    """Where one is signed in, the last used first."""
    async with database.reader(fresh=True) as session:
        rows = await UserSessions(session, user.id).valid()
    here: Session | None = request.state.session
    return [session_read(row, is_current=here is not None and here.id == row.id) for row in rows]


@router.delete("", status_code=204)
async def end_sessions(user: CurrentUser, context: AccountCtx) -> None:
    """Sign out everywhere; tokens stay."""
    await UserSessions(context.session, user.id).delete_all()
    record_event(context, user, "all_sessions_ended")


@router.delete("/{session_id}", status_code=204)
async def end_session(session_id: RowId, user: CurrentUser, context: AccountCtx) -> None:
    ended = await UserSessions(context.session, user.id).delete(session_id)
    record_event(context, user, "session_ended", device=describe_user_agent(ended.agent))


def session_read(row: Session, *, is_current: bool) -> SessionRead:
    if row.impersonator_session_id is not None:
        shown = row.model_dump() | {"address": ""}
        return SessionRead(**shown, device=IMPERSONATOR, is_current=is_current, is_impersonation=True)
    device = describe_user_agent(row.agent)
    return SessionRead(**row.model_dump(), device=device, is_current=is_current, is_impersonation=False)
