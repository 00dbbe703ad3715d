"""API to confirm the user's identity, for scripts of the site's pages. Requests need the session cookie."""

from fastapi import Depends, HTTPException, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.email_confirmation import service
from opportune.accounts.email_confirmation.dependencies import confirm_by_email, require_email_confirmation
from opportune.accounts.reauthentication.identity import confirm_identity
from opportune.accounts.schemas import Confirmation, EmailConfirmationCode, Message
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/confirmation", tags=["accounts"])

NO_SESSION = _l("A token cannot be confirmed. Send `current_password` with each request that needs it.")
BY_EMAIL = [Depends(require_email_confirmation)]


@router.post("", status_code=204)
async def confirm(request: Request, body: Confirmation, user: CurrentUser, context: AccountCtx) -> None:
    """Confirm the user's identity. This session does not ask again for 15 minutes."""
    if request.state.session is None:
        raise HTTPException(409, NO_SESSION)
    await confirm_identity(context, user, body)


@router.post("/email", status_code=202, dependencies=BY_EMAIL)
async def send_email(request: Request, user: CurrentUser, context: AccountCtx) -> Message:
    """Send a code to a user without a password, to confirm their identity."""
    await service.send_code(context, user, request.state.session)
    return Message(detail=_("An e-mail with a code is on its way to %(email)s.", email=user.email))


@router.post("/email/code", status_code=204, dependencies=BY_EMAIL)
async def confirm_code(request: Request, body: EmailConfirmationCode, user: CurrentUser, context: AccountCtx) -> None:
    """Confirm the user's identity. This session does not ask again for 15 minutes."""
    await confirm_by_email(request, context, user, body)
