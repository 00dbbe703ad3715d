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
    """Raise 404 for tokens, and for users who can confirm their identity by password or passkey."""
    async with request.app.state.database.reader(fresh=True) as session:
        if request.state.session and await confirms_by_email(session, request.app.state.settings, user):
            return
    raise HTTPException(404)


async def confirm_by_email(request: Request, context: AccountContext, user: User, codes: EmailConfirmationCode) -> None:
    """Check the code of the e-mail and of a second factor, and store the confirmation in the session.

    Raises:
        WrongCredential: one of the codes is wrong.
        TooManyRequests: there were too many wrong codes.
    """
    session = request.state.session
    await service.check_code(context, user, session, codes.code)
    await context.manager.release()
    if user.has_two_factor:
        await check_code(context, user, codes.second_factor)
    await cookies.confirm_session(context.session, session, request)
