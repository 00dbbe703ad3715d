"""API of the personal data export and the deletion of an account."""

from fastapi import Request, Response
from pydantic_core import to_json

from opportune.accounts.deletion.service import delete_account, read_personal_data
from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.events.service import record_event
from opportune.accounts.reauthentication.identity import confirm_password
from opportune.accounts.schemas import Reauthentication
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me", tags=["accounts"])


@router.delete("", status_code=204)
async def delete_me(
    request: Request, body: Reauthentication, user: CurrentUser, database: DatabaseDependency, context: AccountCtx
) -> None:
    """Delete the account and all of its data. 409 for the last superuser."""
    await confirm_password(context, user, body.current_password)
    await delete_account(context, database, request.app.state.features, user)


@router.get("/export")
async def export_me(request: Request, user: CurrentUser, database: DatabaseDependency, context: AccountCtx) -> Response:
    """Export the user's data by feature and table."""
    record_event(context, user, "data_exported")
    async with database.reader() as session:
        rows = await read_personal_data(session, request.app.state.features, user)
    return Response(to_json(rows), headers={"Cache-Control": "no-store"}, media_type="application/json")
