"""What keeps the addresses of sign-in by e-mail from a site that does not offer it."""

from fastapi import HTTPException, Request

from opportune.accounts.sign_in_methods.available import email_sign_in_is_offered


async def require_email_sign_in(request: Request) -> None:
    if not email_sign_in_is_offered(request.app.state.settings):
        raise HTTPException(404)
