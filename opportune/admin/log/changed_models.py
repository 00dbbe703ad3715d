"""Models that a request has changed in the admin. Imports no SQLAdmin, because middleware reads them."""

from collections.abc import Set as AbstractSet

from starlette.requests import Request


def changed_identities(request: Request) -> AbstractSet[str]:
    """Return the models for which this request has added entries to the audit log."""
    return getattr(request.state, "changed_identities", frozenset())


def add_changed_identity(request: Request, identity: str) -> None:
    request.state.changed_identities = {*changed_identities(request), identity}
