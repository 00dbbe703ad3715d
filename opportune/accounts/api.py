"""API of accounts, below /api/v1."""

from fastapi import APIRouter

from opportune.accounts.activity_log import api as events
from opportune.accounts.deletion import api as deletion
from opportune.accounts.email_confirmation import api as email_confirmation
from opportune.accounts.email_sign_in import api as email_sign_in
from opportune.accounts.passkeys import api as passkeys
from opportune.accounts.password_reset import api as password_reset
from opportune.accounts.profile import api as profile
from opportune.accounts.reauthentication import api as reauthentication
from opportune.accounts.registration import api as registration
from opportune.accounts.session_management import api as sessions
from opportune.accounts.sign_in import api as sign_in
from opportune.accounts.social_sign_in import api as social_sign_in
from opportune.accounts.token_management import api as tokens
from opportune.accounts.two_factor import api as two_factor
from opportune.accounts.verification import api as verification

PACKAGES = (
    sign_in,
    email_sign_in,
    registration,
    verification,
    password_reset,
    profile,
    social_sign_in,
    deletion,
    sessions,
    events,
    tokens,
    two_factor,
    passkeys,
    reauthentication,
    email_confirmation,
)

router = APIRouter()
for package in PACKAGES:
    router.routes += package.router.routes  # `include_router` would analyse each route again
