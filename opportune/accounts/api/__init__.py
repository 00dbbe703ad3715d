"""API of accounts, below /api/v1."""

from opportune.accounts.api import credentials, profile, registration, sign_in, sign_in_methods

ROUTERS = tuple(module.router for module in (sign_in, registration, profile, credentials, sign_in_methods))
