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


ROUTERS = (
    sign_in.router,
    email_sign_in.router,
    social_sign_in.router,
    registration.router,
    verification.router,
    password_reset.router,
    two_factor.router,
    passkeys.router,
    reauthentication.router,
    email_confirmation.router,
    profile.router,
    sessions.router,
    activity_log.router,
    impersonation.router,
    tokens.router,
    deletion.router,
    setup.router,
    router,
)
