"""Accounts: users, sign-in and permissions.

The core is `users`, `sessions`, `tokens`, `groups`, `events`, `passwords`, `emails`, `rate_limits` and
`sign_in_methods`. The other packages are flows, such as `registration`. A flow has pages, an API, and a service that
does not use the request. Flows import the core, but the core does not import flows. import-linter checks this.
"""

from typing import TYPE_CHECKING

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.accounts.backends import auth_backends, get_user_manager
    from opportune.accounts.demo import demo_owner
    from opportune.accounts.dependencies import (
        AccountCtx,
        AccountOwner,
        CurrentImpersonator,
        CurrentUser,
        OptionalUser,
        get_current_user,
        get_optional_user,
        needs_scope,
    )
    from opportune.accounts.events.kinds import EventKind, add_event_kind
    from opportune.accounts.events.service import record_event
    from opportune.accounts.groups.permissions import FORBIDDEN, may, read_grants
    from opportune.accounts.models import User, UserBase
    from opportune.accounts.passwords.hashing import hash_password
    from opportune.accounts.reauthentication.dependencies import ConfirmedUser
    from opportune.accounts.reauthentication.identity import reauthenticated
    from opportune.accounts.schemas import Email, Reauthentication, UserRead, UserUpdate
    from opportune.accounts.sessions.cookies import start_session
    from opportune.accounts.tokens.service import create_access_token
    from opportune.accounts.users.deactivation import may_refuse_deactivation
    from opportune.accounts.users.manager import UserManager

__all__ = [
    "FORBIDDEN",
    "AccountCtx",
    "AccountOwner",
    "ConfirmedUser",
    "CurrentImpersonator",
    "CurrentUser",
    "Email",
    "EventKind",
    "OptionalUser",
    "Reauthentication",
    "User",
    "UserBase",
    "UserManager",
    "UserRead",
    "UserUpdate",
    "add_event_kind",
    "auth_backends",
    "create_access_token",
    "demo_owner",
    "get_current_user",
    "get_optional_user",
    "get_user_manager",
    "hash_password",
    "may",
    "may_refuse_deactivation",
    "needs_scope",
    "read_grants",
    "reauthenticated",
    "record_event",
    "start_session",
]

# Lazy, because the project's `User` is a subclass of this package's `UserBase`.
__getattr__ = lazy_exports(
    __name__,
    {
        ".backends": ("auth_backends", "get_user_manager"),
        ".users.deactivation": ("may_refuse_deactivation",),
        ".demo": ("demo_owner",),
        ".dependencies": (
            "AccountCtx",
            "AccountOwner",
            "CurrentImpersonator",
            "CurrentUser",
            "OptionalUser",
            "get_current_user",
            "get_optional_user",
            "needs_scope",
        ),
        ".events.kinds": ("EventKind", "add_event_kind"),
        ".events.service": ("record_event",),
        ".groups.permissions": ("FORBIDDEN", "may", "read_grants"),
        ".users.manager": ("UserManager",),
        ".models": ("User", "UserBase"),
        ".reauthentication.dependencies": ("ConfirmedUser",),
        ".passwords.hashing": ("hash_password",),
        ".reauthentication.identity": ("reauthenticated",),
        ".schemas": ("Email", "Reauthentication", "UserRead", "UserUpdate"),
        ".sessions.cookies": ("start_session",),
        ".tokens.service": ("create_access_token",),
    },
)
