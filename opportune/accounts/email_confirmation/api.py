"""API of confirmation by e-mail, for scripts of the site's own pages, which send the session cookie."""

from fastapi import APIRouter, Depends, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.email_confirmation import service
from opportune.accounts.email_confirmation.dependencies import confirm_by_email, require_email_confirmation
from opportune.accounts.reauthentication.service import WrongCredential
from opportune.accounts.responses import invalid_field
from opportune.accounts.schemas import EmailConfirmationCode, Message

router = APIRouter(
    prefix="/users/me/confirmation/email", tags=["accounts"], dependencies=[Depends(require_email_confirmation)]
)


@router.post("", status_code=202)
async def send_email(request: Request, user: CurrentUser, context: AccountCtx) -> Message:
    """Have a code sent to confirm with, for who has no password."""
    await service.send_code(context, user, request.state.session)
    return Message(detail=f"An e-mail with a code is on its way to {user.email}.")


@router.post("/code", status_code=204)
async def confirm(request: Request, body: EmailConfirmationCode, user: CurrentUser, context: AccountCtx) -> None:
    """Show once more that it is you: for a quarter of an hour this session is not asked again."""
    try:
        await confirm_by_email(request, context, user, body)
    except WrongCredential as refusal:
        raise invalid_field(refusal.field, refusal.message) from None
