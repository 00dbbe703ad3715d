"""API of accounts, below /api/v1."""

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

ROUTERS = (
    sign_in.router,
    email_sign_in.router,
    registration.router,
    verification.router,
    password_reset.router,
    profile.router,
    social_sign_in.router,
    deletion.router,
    sessions.router,
    activity_log.router,
    tokens.router,
    two_factor.router,
    passkeys.router,
    reauthentication.router,
    email_confirmation.router,
)
