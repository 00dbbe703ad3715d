"""Who operates the site types the password again: a browser that was left open may not do it for them."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts import rate_limits
from opportune.accounts.manager import UserManager
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication import reauthenticate
from opportune.accounts.sessions import service
from opportune.accounts.two_factor import totp
from opportune.db.model import utc_now

REAUTHENTICATION_LIFETIME = timedelta(minutes=15)
CODE_LIMIT = rate_limits.RateLimit("operations: code", most=10)


def is_confirmed(request: Request) -> bool:
    """Whether it was typed in this browser a short while ago."""
    session: Session | None = request.state.session
    return (
        session is not None
        and session.confirmed_at is not None
        and utc_now() - session.confirmed_at < REAUTHENTICATION_LIFETIME
    )


async def confirm_password(request: Request, response: Response, password: str, code: str) -> str:
    """Take the password, and the code of who has a second factor. What is wrong with them, or nothing.

    Raises:
        TooMany: it was tried too often.
    """
    user: User = request.state.user
    async with request.app.state.database.writer() as session:
        if not await reauthenticate(request, UserManager(session), user, password):
            return "This is not your password."
        if user.has_two_factor:
            await rate_limits.hit(request, rate_limits.Hit(CODE_LIMIT, str(user.id)))
            if not await totp.verify_code(session, request.app.state.settings, user, code):
                return "This code is not valid, or no longer."
        await service.confirm_session(session, request.state.session, request, response)
    return ""
