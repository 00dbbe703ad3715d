"""API to confirm the user's identity, for scripts of the site's pages. Requests need the session cookie."""

from fastapi import HTTPException, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.reauthentication.identity import confirm_identity
from opportune.accounts.schemas import Confirmation
from opportune.i18n import gettext_lazy as _l
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/confirmation", tags=["accounts"])

NO_SESSION = _l("A token cannot be confirmed. Send `current_password` with each request that needs it.")


@router.post("", status_code=204)
async def confirm(request: Request, body: Confirmation, user: CurrentUser, context: AccountCtx) -> None:
    """Confirm the user's identity. This session does not ask again for 15 minutes."""
    if request.state.session is None:
        raise HTTPException(409, NO_SESSION)
    await confirm_identity(context, user, body)
