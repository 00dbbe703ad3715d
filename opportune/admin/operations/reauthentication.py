"""Who operates the site types the password again: a browser that was left open may not do it for them."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from opportune.accounts.dependencies import account_context
from opportune.accounts.models import Session, User
from opportune.accounts.reauthentication import reauthenticate
from opportune.accounts.sessions.cookies import confirm_session
from opportune.accounts.two_factor import totp
from opportune.db.model import utc_now
from opportune.web.rate_limit import RateLimit

REAUTHENTICATION_LIFETIME = timedelta(minutes=15)
CODE_LIMIT = RateLimit("operations.code_limit", 10)


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
        TooManyRequests: it was tried too often.
    """
    user: User = request.state.user
    async with request.app.state.database.writer() as session:
        context = account_context(request, session)
        if not await reauthenticate(context, user, password):
            return "This is not your password."
        if user.has_two_factor:
            await context.limiter.hit(CODE_LIMIT.by(user.id))
            if not await totp.verify_code(session, context.settings, user, code):
                return "This code is not valid, or no longer."
        await confirm_session(session, request.state.session, request, response)
    return ""
