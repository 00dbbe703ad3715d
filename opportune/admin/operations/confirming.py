"""Who operates the site types the password again: a browser that was left open may not do it for them."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts import attempts, sessions, two_factor
from opportune.accounts.manager import UserManager
from opportune.accounts.models import Session, User
from opportune.accounts.own.confirming import is_current_password
from opportune.db.model import utc_now

LASTS = timedelta(minutes=15)
CODES = attempts.Rule("operations: code", most=10)


def is_confirmed(request: Request) -> bool:
    """Whether it was typed in this browser a short while ago."""
    session: Session | None = request.state.session
    return session is not None and session.confirmed_at is not None and utc_now() - session.confirmed_at < LASTS


async def confirm(request: Request, response: Response, password: str, code: str) -> str:
    """Take the password, and the code of who has a second factor. What is wrong with them, or nothing.

    Raises:
        TooMany: it was tried too often.
    """
    user: User = request.state.user
    async with request.app.state.database.writer() as session:
        if not await is_current_password(request, UserManager(session), user, password):
            return "This is not your password."
        if user.has_two_factor:
            await attempts.count(request, attempts.Try(CODES, str(user.id)))
            if not await two_factor.verify(session, request.app.state.settings, user, code):
                return "This code is not valid, or no longer."
        await sessions.confirm(session, request.state.session, request, response)
    return ""
