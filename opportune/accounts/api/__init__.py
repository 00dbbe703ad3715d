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

SIGN_IN = (sign_in, email_sign_in, registration, verification, password_reset)
ACCOUNT = (profile, social_sign_in, deletion, sessions, activity_log, tokens)
CONFIRMATION = (two_factor, passkeys, reauthentication, email_confirmation)

ROUTERS = tuple(module.router for module in (*SIGN_IN, *ACCOUNT, *CONFIRMATION))
