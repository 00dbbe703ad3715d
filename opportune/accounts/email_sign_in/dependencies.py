"""Access to sign-in by e-mail: 404 if the site does not offer it."""

from fastapi import Request

from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.errors import NotFound


async def require_email_sign_in(request: Request) -> None:
    if not email_sign_in_is_offered(request.app.state.settings):
        raise NotFound
