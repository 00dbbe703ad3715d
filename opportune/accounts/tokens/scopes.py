"""Scopes of tokens. Every route of the API requires one by default.

A route of the feature `books` needs `books:read` for reading, else `books:write`; `read` and `write` include those of
all features. A token needs any other scope, such as those of `needs_scope`, by its full name.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from opportune.config.project import origin
from opportune.errors import FieldErrors, OperatorError
from opportune.feature import Feature
from opportune.web.middleware.csrf import SAFE_METHODS
from opportune.web.routing.router import router_list

READ, WRITE = "read", "write"
MANAGE_ACCOUNT = "accounts:manage"
"""E-mail, password, sessions, tokens, second factor and deletion: not included in `read` or `write`."""
ALL_SCOPES = "*"
"""Scopes of a sign-in, and of tokens from before scopes existed."""

ACCOUNTS = "accounts"
"""The feature whose routes need `MANAGE_ACCOUNT` unless they name another scope, so that new routes are protected."""

NAME = re.compile(r"[\w-]+:[\w-]+|read|write")

_named_scopes: dict[str, None] = {}
"""Scopes that routes of this process name explicitly."""


def register_scopes(scopes: Sequence[str]) -> None:
    """Register the scopes of a route. Raises OperatorError for a scope that does not name its subject."""
    if wrong := next((each for each in scopes if not NAME.fullmatch(each)), None):
        raise OperatorError(f"{wrong!r} is not a scope. Name its subject, such as needs_scope('books:export').")
    _named_scopes.update(dict.fromkeys(each for each in scopes if ":" in each))


def has_scope(held: Collection[str], needed: str) -> bool:
    """Return whether a token with these scopes includes a scope."""
    verb = needed.rpartition(":")[2]
    return needed in held or ALL_SCOPES in held or (verb in (READ, WRITE) and verb in held)


def common_scopes(one: str, other: str) -> str:
    """Return the scopes that two tokens have in common, separated by spaces."""
    held, other_scopes = one.split(), other.split()
    both = [
        *(each for each in held if has_scope(other_scopes, each)),
        *(each for each in other_scopes if has_scope(held, each)),
    ]
    return " ".join(dict.fromkeys(both))


def needed_scopes(route: object, method: str, features: Sequence[Feature]) -> list[str]:
    """Return the scopes that a route needs: its own, else reading or writing in its feature."""
    dependant = getattr(route, "dependant", None)
    if named := list(dict.fromkeys(_named(dependant))) if dependant else []:
        return named
    name, verb = origin(getattr(route, "endpoint", None)), READ if method in SAFE_METHODS else WRITE
    if name == ACCOUNTS:
        return [MANAGE_ACCOUNT]
    return [f"{name}:{verb}" if any(feature.name == name for feature in features) else verb]


class ScopeRow(NamedTuple):
    """A choice on the page of tokens."""

    label: str
    scopes: Mapping[str, str]
    """Labels by verb."""


def scope_rows(features: Sequence[Feature]) -> list[ScopeRow]:
    """Return the scopes of a site with these features."""
    labels = {feature.name: feature.navigation[0].label for feature in features if feature.navigation}
    labels[ACCOUNTS] = "Your account"
    found = {feature.name: _verbs(feature) for feature in features}
    for needed in _named_scopes:
        name, _, verb = needed.partition(":")
        found.setdefault(name, {})[verb] = None
    found[ACCOUNTS] = found.pop(ACCOUNTS, {})  # is added last
    rows = ((labels.get(name) or name.capitalize(), name, verbs) for name, verbs in found.items() if verbs)
    scopes = [ScopeRow(label, {verb: f"{name}:{verb}" for verb in _in_order(verbs)}) for label, name, verbs in rows]
    return [ScopeRow("All features", {READ: READ, WRITE: WRITE}), *scopes]


def offered_scopes(features: Sequence[Feature]) -> dict[str, str]:
    """Return the choices of scopes with their labels."""
    return {name: f"{row.label}: {verb}" for row in scope_rows(features) for verb, name in row.scopes.items()}


def require_known_scopes(scopes: Sequence[str], features: Sequence[Feature], field: str) -> None:
    """Raise FieldErrors for `field` if a requested scope does not exist."""
    offered = offered_scopes(features)
    if not set(scopes) <= offered.keys():
        raise FieldErrors({field: f"Unknown scope. Available scopes: {', '.join(offered)}."})


def _verbs(feature: Feature) -> dict[str, None]:
    """Return the default scopes of a feature's API routes, without analysing each route."""
    if feature.name == ACCOUNTS:
        return {MANAGE_ACCOUNT.partition(":")[2]: None}
    methods = {method for api in router_list(feature.api) for route in api.routes for method in _methods(route)}
    verbs = [READ if method in SAFE_METHODS else WRITE for method in methods]
    return dict.fromkeys([*verbs, READ, WRITE] if feature.tools else verbs)


def _in_order(verbs: Collection[str]) -> list[str]:
    return [*(verb for verb in (READ, WRITE) if verb in verbs), *sorted(set(verbs) - {READ, WRITE})]


def _methods(route: object) -> Collection[str]:
    return getattr(route, "methods", None) or ()


def _named(dependant: Any) -> Iterator[str]:
    for each in dependant.dependencies:
        yield from each.own_oauth_scopes or ()
        yield from _named(each)
