"""Pages of accounts. All of them work without JavaScript."""

from fastapi import Response
from fastapi.responses import RedirectResponse

from opportune.accounts.pages import (
    confirmation,
    credentials,
    email_sign_in,
    passkeys,
    personal_data,
    profile,
    registration,
    setup,
    sign_in,
    social_sign_in,
    two_factor,
)
from opportune.web.routing.api_router import APIRouter

router = APIRouter()

SIGN_IN = (sign_in, email_sign_in, social_sign_in, registration, setup)
ACCOUNT = (confirmation, two_factor, passkeys, profile, credentials, personal_data)

ROUTERS = (*(module.router for module in (*SIGN_IN, *ACCOUNT)), router)


@router.get("/.well-known/change-password")
async def redirect_to_password_page() -> Response:
    """Redirect password managers, which know only this URL, to the page on which users change their password."""
    return RedirectResponse("/accounts/password", 302)
