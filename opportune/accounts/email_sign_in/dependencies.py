"""Dependency of the routes for sign-in by e-mail."""

from fastapi import Request

from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered
from opportune.errors import NotFound


async def require_email_sign_in(request: Request) -> None:
    """Raise NotFound if the site does not offer sign-in by e-mail."""
    if not email_sign_in_is_offered(request.app.state.settings):
        raise NotFound
