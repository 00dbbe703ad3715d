"""Accounts: users, sign-in and permissions.

The core is `users`, `sessions`, `tokens`, `groups`, `events`, `passwords`, `emails`, `rate_limits` and
`sign_in_methods`. The other packages are flows, such as `registration`. A flow has pages, an API, and a service that
does not use the request. Flows import the core, but the core does not import flows. import-linter checks this.
"""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
