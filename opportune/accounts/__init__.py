"""Who uses the site, how they prove it, and what they may do.

A folder for each subject: registration, signing in, sessions, two-factor authentication, the profile, deletion, API
tokens, groups; each with its pages, its API and a service that knows no request.
"""

from opportune.accounts.demo import demo_owner
from opportune.accounts.dependencies import CurrentUser, OptionalUser
from opportune.accounts.groups.permissions import FORBIDDEN, may
from opportune.accounts.models import User
from opportune.accounts.schemas import Email

__all__ = ["FORBIDDEN", "CurrentUser", "Email", "OptionalUser", "User", "demo_owner", "may"]
