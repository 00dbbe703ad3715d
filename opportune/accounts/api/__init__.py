"""API of accounts, below /api/v1."""

from fastapi import APIRouter

from opportune.accounts.api import (
    activity_log,
    deletion,
    email_confirmation,
    email_sign_in,
    passkeys,
    password_reset,
    profile,
    reauthentication,
    registration,
    sessions,
    sign_in,
    social_sign_in,
    tokens,
    two_factor,
    verification,
)

MODULES = (
    sign_in,
    email_sign_in,
    registration,
    verification,
    password_reset,
    profile,
    social_sign_in,
    deletion,
    sessions,
    activity_log,
    tokens,
    two_factor,
    passkeys,
    reauthentication,
    email_confirmation,
)

router = APIRouter()
for module in MODULES:
    router.routes += module.router.routes  # `include_router` would analyse each route again
