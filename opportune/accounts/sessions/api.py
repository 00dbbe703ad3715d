"""Where somebody is signed in."""

from fastapi import APIRouter, Request

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.models import Session
from opportune.accounts.schemas import SessionRead
from opportune.accounts.sessions.service import UserSessions
from opportune.accounts.sessions.user_agent import describe_user_agent
from opportune.db.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency, WriteSession

router = APIRouter(prefix="/users/me/sessions", tags=["accounts"])


@router.get("")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> list[SessionRead]:
    """Where one is signed in, the last used first."""
    async with database.reader(fresh=True) as session:
        rows = await UserSessions(session, user.id).valid()
    here: Session | None = request.state.session
    return [session_read(row, is_current=here is not None and here.id == row.id) for row in rows]


@router.delete("", status_code=204)
async def end_sessions(user: CurrentUser, session: WriteSession) -> None:
    """Sign out everywhere; tokens stay."""
    await UserSessions(session, user.id).delete_all()


@router.delete("/{session_id}", status_code=204)
async def end_session(session_id: RowId, user: CurrentUser, session: WriteSession) -> None:
    await UserSessions(session, user.id).delete(session_id)


def session_read(row: Session, *, is_current: bool) -> SessionRead:
    return SessionRead(**row.model_dump(), device=describe_user_agent(row.agent), is_current=is_current)
