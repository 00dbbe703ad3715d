"""API to confirm the identity by e-mail, for scripts of the site's pages. Requests need the session cookie."""

from fastapi import Depends, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.email_confirmation import service
from opportune.accounts.email_confirmation.dependencies import confirm_by_email, require_email_confirmation
from opportune.accounts.schemas import EmailConfirmationCode, Message
from opportune.i18n import gettext as _
from opportune.web.routing.api_router import APIRouter

router = APIRouter(
    prefix="/users/me/confirmation/email", tags=["accounts"], dependencies=[Depends(require_email_confirmation)]
)


@router.post("", status_code=202)
async def send_email(request: Request, user: CurrentUser, context: AccountCtx) -> Message:
    """Send a code to a user without a password, to confirm their identity."""
    await service.send_code(context, user, request.state.session)
    return Message(detail=_("An e-mail with a code is on its way to %(email)s.", email=user.email))


@router.post("/code", status_code=204)
async def confirm_code(request: Request, body: EmailConfirmationCode, user: CurrentUser, context: AccountCtx) -> None:
    """Confirm the user's identity. This session does not ask again for 15 minutes."""
    await confirm_by_email(request, context, user, body)
