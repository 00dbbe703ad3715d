"""API of accounts, below /api/v1."""

from opportune.accounts.api import (
    activity_log,
    confirmation,
    deletion,
    email_sign_in,
    passkeys,
    profile,
    registration,
    sessions,
    sign_in,
    social_sign_in,
    tokens,
    two_factor,
)

SIGN_IN = (sign_in, email_sign_in, registration)
ACCOUNT = (profile, social_sign_in, deletion, sessions, activity_log, tokens)
CONFIRMATION = (two_factor, passkeys, confirmation)

ROUTERS = tuple(module.router for module in (*SIGN_IN, *ACCOUNT, *CONFIRMATION))
