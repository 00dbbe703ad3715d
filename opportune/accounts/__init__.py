"""Accounts: users, sign-in and permissions.

The core is `users`, `sessions`, `tokens`, `events`, `passwords`, `emails` and `sign_in_methods`. The `flows` above it,
such as `registration`, do not use the request: `pages` and `api` call them. import-linter checks these layers.
"""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
