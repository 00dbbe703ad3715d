"""Pages of accounts. All of them work without JavaScript."""

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from opportune.accounts.activity_log import pages as events
from opportune.accounts.deletion import pages as deletion
from opportune.accounts.email_confirmation import pages as email_confirmation
from opportune.accounts.email_sign_in import pages as email_sign_in
from opportune.accounts.impersonation import pages as impersonation
from opportune.accounts.passkeys import pages as passkeys
from opportune.accounts.password_reset import pages as password_reset
from opportune.accounts.profile import pages as profile
from opportune.accounts.reauthentication import pages as reauthentication
from opportune.accounts.registration import pages as registration
from opportune.accounts.session_management import pages as sessions
from opportune.accounts.setup import pages as setup
from opportune.accounts.sign_in import pages as sign_in
from opportune.accounts.social_sign_in import pages as social_sign_in
from opportune.accounts.token_management import pages as tokens
from opportune.accounts.two_factor import pages as two_factor
from opportune.accounts.verification import pages as verification

PACKAGES = (
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
    events,
    impersonation,
    tokens,
    deletion,
    setup,
)

router = APIRouter()
for package in PACKAGES:
    router.routes += package.router.routes  # `include_router` would analyse each route again


@router.get("/.well-known/change-password")
async def redirect_to_password_page() -> Response:
    """Redirect password managers, which know only this address, to the page on which users change their password."""
    return RedirectResponse("/accounts/password", 302)
