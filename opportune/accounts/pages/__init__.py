"""Pages of accounts. All of them work without JavaScript."""

from fastapi import Response
from fastapi.responses import RedirectResponse

from opportune.accounts.pages import (
    activity_log,
    deletion,
    email_confirmation,
    email_sign_in,
    impersonation,
    passkeys,
    password_reset,
    profile,
    reauthentication,
    registration,
    sessions,
    setup,
    sign_in,
    social_sign_in,
    tokens,
    two_factor,
    verification,
)
from opportune.web.routing.api_router import APIRouter

router = APIRouter()


@router.get("/.well-known/change-password")
async def redirect_to_password_page() -> Response:
    """Redirect password managers, which know only this URL, to the page on which users change their password."""
    return RedirectResponse("/accounts/password", 302)


SIGN_IN = (sign_in, email_sign_in, social_sign_in, registration, verification, password_reset)
CONFIRMATION = (two_factor, passkeys, reauthentication, email_confirmation)
ACCOUNT = (profile, sessions, activity_log, impersonation, tokens, deletion, setup)

ROUTERS = (*(module.router for module in (*SIGN_IN, *CONFIRMATION, *ACCOUNT)), router)
