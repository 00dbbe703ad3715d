"""Pages of accounts. All of them work without JavaScript."""

from fastapi import APIRouter, Response
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

MODULES = (
    sign_in,
    email_sign_in,
    social_sign_in,
    registration,
    verification,
    password_reset,
    two_factor,
    passkeys,
    reauthentication,
    email_confirmation,
    profile,
    sessions,
    activity_log,
    impersonation,
    tokens,
    deletion,
    setup,
)

router = APIRouter()
for module in MODULES:
    router.routes += module.router.routes  # `include_router` would analyse each route again


@router.get("/.well-known/change-password")
async def redirect_to_password_page() -> Response:
    """Redirect password managers, which know only this address, to the page on which users change their password."""
    return RedirectResponse("/accounts/password", 302)
