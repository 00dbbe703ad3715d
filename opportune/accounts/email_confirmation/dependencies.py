"""Dependencies of confirmation by e-mail."""

from fastapi import HTTPException, Request

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.email_confirmation import service
from opportune.accounts.models import User
from opportune.accounts.reauthentication.service import check_code
from opportune.accounts.schemas import EmailConfirmationCode
from opportune.accounts.sessions import cookies
from opportune.accounts.sign_in_methods.available import confirms_by_email
from opportune.accounts.users.context import AccountContext


async def require_email_confirmation(request: Request, user: CurrentUser) -> None:
    """Allow a session of a user with no other means to confirm; else 404."""
    async with request.app.state.database.reader(fresh=True) as session:
        if request.state.session and await confirms_by_email(session, request.app.state.settings, user):
            return
    raise HTTPException(404)


async def confirm_by_email(request: Request, context: AccountContext, user: User, codes: EmailConfirmationCode) -> None:
    """Check the code, and that of a second factor; the session remembers the confirmation.

    Raises:
        WrongCredential: one of them is wrong.
        TooManyRequests: there were too many wrong codes.
    """
    here = request.state.session
    await service.check_code(context, user, here, codes.code)
    await context.manager.release()
    if user.has_two_factor:
        await check_code(context, user, codes.second_factor)
    await cookies.confirm_session(context.session, here, request)
