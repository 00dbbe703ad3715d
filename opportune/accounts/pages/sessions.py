"""Page of a user's sessions."""

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.models import Session
from opportune.accounts.responses import redirect_with_message, show
from opportune.accounts.sessions import cookies
from opportune.accounts.sessions.service import UserSessions, describe_session_device
from opportune.db.models.model import RowId
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.rendering.flash import flash
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts/sessions")


@router.get("")
async def list_sessions(request: Request, user: CurrentUser, database: DatabaseDependency) -> Response:
    async with database.reader(fresh=True) as session:
        rows = await UserSessions(session, user.id).list_valid()
    return show(
        request, "sessions", sessions=rows, device=describe_session_device, current_id=get_current_session_id(request)
    )


@router.post("/{session_id}/end")
async def end_session(request: Request, session_id: RowId, user: CurrentUser, context: AccountCtx) -> Response:
    deleted = await UserSessions(context.session, user.id).delete(session_id)
    record_event(context, user, "session_ended", device=describe_session_device(deleted))
    return redirect_with_message(request, "sessions", "That device is signed out.")


@router.post("/end-others")
async def end_other_sessions(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    await UserSessions(context.session, user.id).delete_all(keep=get_current_session_id(request))
    record_event(context, user, "sessions_ended")
    return redirect_with_message(request, "sessions", "Every other device is signed out.")


@router.post("/end-all")
async def end_all_sessions(request: Request, user: CurrentUser, context: AccountCtx) -> Response:
    response = RedirectResponse("/", 303)
    await UserSessions(context.session, user.id).delete_all()
    record_event(context, user, "all_sessions_ended")
    await cookies.sign_out(context.session, request, response)
    flash(request, "You are signed out on every device.")
    return response


def get_current_session_id(request: Request) -> int | None:
    """Return the id of this browser's session."""
    row: Session | None = request.state.session
    return row.id if row else None
