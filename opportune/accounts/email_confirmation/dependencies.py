"""Who may confirm by an e-mail, and what follows from it."""

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
    """Let in who has a session, and nothing else to confirm by."""
    async with request.app.state.database.reader(fresh=True) as session:
        if request.state.session and await confirms_by_email(session, request.app.state.settings, user):
            return
    raise HTTPException(404)


async def confirm_by_email(request: Request, context: AccountContext, user: User, given: EmailConfirmationCode) -> None:
    """Ask for the code, and for that of a second factor; the browser's session remembers it.

    Raises:
        WrongCredential: one of them is wrong.
        TooManyRequests: there were too many wrong ones.
    """
    here = request.state.session
    await service.check_code(context, user, here, given.code)
    await context.manager.release()
    if user.has_two_factor:
        await check_code(context, user, given.second_factor)
    await cookies.confirm_session(context.session, here, request)
