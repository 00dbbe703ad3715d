"""Who uses the site, how they prove it, and what they may do.

A folder for each subject: registration, signing in, sessions, two-factor authentication, the profile, deletion, API
tokens, groups; each with its pages, its API and a service that knows no request.
"""

from opportune.accounts.demo import demo_owner
from opportune.accounts.dependencies import CurrentUser, OptionalUser
from opportune.accounts.groups.permissions import FORBIDDEN, may, read_grants
from opportune.accounts.models import User
from opportune.accounts.passwords import hash_password
from opportune.accounts.schemas import Email
from opportune.accounts.sessions.cookies import sign_in as start_session
from opportune.accounts.tokens.service import create_access_token

__all__ = [
    "FORBIDDEN",
    "CurrentUser",
    "Email",
    "OptionalUser",
    "User",
    "create_access_token",
    "demo_owner",
    "hash_password",
    "may",
    "read_grants",
    "start_session",
]
