"""Scopes of tokens. Every route of the API requires one by default.

A route of the feature `books` needs `books:read` if it only reads, else `books:write`. The scopes `read` and `write`
include these scopes of all features. They do not include other scopes that a route declares, such as
`needs_scope("books:export")`.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from inspect import signature
from itertools import chain
from typing import NamedTuple, get_args

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.params import Security
from fastapi.routing import iter_route_contexts

from opportune.db.models.labels import label_of
from opportune.errors import FieldErrors, OperatorError
from opportune.feature import Feature
from opportune.i18n import gettext, gettext_lazy
from opportune.i18n import gettext_lazy as _l
from opportune.project.layout import origin
from opportune.web.middleware.origins import SAFE_METHODS
from opportune.web.routing.api_router import listed_routes, with_dependencies

READ, WRITE = "read", "write"
VERBS = (_l("read"), _l("write"), _l("manage"))
"""Verbs of the framework's scopes, listed for catalogues."""
MANAGE_ACCOUNT = "accounts:manage"
"""Scope to change e-mail, password, sessions, tokens and second factor, and to delete the account.

`read` and `write` do not include it.
"""
ALL_SCOPES = "*"
"""All scopes, for tokens created by signing in, and for tokens created before scopes existed."""

ACCOUNTS = "accounts"
"""Name of the feature whose routes need `MANAGE_ACCOUNT` by default, so that new routes are protected."""

SCOPE_NAME = re.compile(r"[\w-]+:[\w-]+|read|write")


def require_valid_scopes(scopes: Sequence[str]) -> None:
    """Raise OperatorError for a scope without a prefix, such as `export`."""
    if invalid_scope := next((scope for scope in scopes if not SCOPE_NAME.fullmatch(scope)), None):
        raise OperatorError(
            f"{invalid_scope!r} is not a scope. Write it with a prefix, such as needs_scope('books:export')."
        )


def has_scope(scopes: Collection[str], needed: str) -> bool:
    verb = needed.rpartition(":")[2]
    return needed in scopes or ALL_SCOPES in scopes or (verb in (READ, WRITE) and verb in scopes)


def get_common_scopes(scopes: str, other_scopes: str) -> str:
    """Return the scopes that two tokens have in common, separated by spaces."""
    names = scopes.split()
    other_names = other_scopes.split()
    common = [
        *(name for name in names if has_scope(other_names, name)),
        *(name for name in other_names if has_scope(names, name)),
    ]
    return " ".join(dict.fromkeys(common))


def needed_scopes(route: object, method: str, features: Sequence[Feature]) -> list[str]:
    """Return the scopes that the route declares; by default, the `read` or `write` scope of its feature."""
    dependant = getattr(route, "dependant", None)
    if declared := list(dict.fromkeys(_declared_scopes(dependant))) if dependant else []:
        return declared
    name = origin(getattr(route, "endpoint", None))
    verb = READ if method in SAFE_METHODS else WRITE
    if name == ACCOUNTS:
        return [MANAGE_ACCOUNT]
    return [f"{name}:{verb}" if any(feature.name == name for feature in features) else verb]


class FeatureScopes(NamedTuple):
    label: str
    scopes: Mapping[str, str]
    """Full names by verb: `{"read": "books:read"}`."""


def scope_rows(site: FastAPI) -> list[FeatureScopes]:
    """Return the scopes that a token can have, grouped by feature. Those of the account come last."""
    features: Sequence[Feature] = site.state.features
    labels = {feature.name: feature.site.navigation[0].label for feature in features if feature.site.navigation}
    labels[ACCOUNTS] = _l("Your account")
    rows = [FeatureScopes(_l("All features"), {READ: READ, WRITE: WRITE})]
    verbs_by_name = _find_verbs(site)
    for name in sorted(verbs_by_name, key=lambda name: name == ACCOUNTS):
        verbs = sorted(verbs_by_name[name], key=lambda verb: (verb not in (READ, WRITE), verb))
        if verbs:
            label = gettext_lazy(labels.get(name) or label_of(name))
            rows.append(FeatureScopes(label, {verb: f"{name}:{verb}" for verb in verbs}))
    return rows


def _find_verbs(site: FastAPI) -> dict[str, set[str]]:
    """Return the verbs of all scopes by the name before the colon, in the order of the features."""
    features: Sequence[Feature] = site.state.features
    verbs_by_name = {feature.name: _default_verbs(feature) for feature in features}
    dependants = (getattr(context, "dependant", None) for context in iter_route_contexts(site.routes))
    scopes_of_routes = chain.from_iterable(map(_declared_scopes, filter(None, dependants)))
    for scope in chain(scopes_of_routes, _scopes_of_tools(features)):
        name, colon, verb = scope.partition(":")
        if colon:
            verbs_by_name.setdefault(name, set()).add(verb)
    return verbs_by_name


def scope_labels(site: FastAPI) -> dict[str, str]:
    return {name: f"{row.label}: {gettext(verb)}" for row in scope_rows(site) for verb, name in row.scopes.items()}


def require_known_scopes(scopes: Sequence[str], site: FastAPI, field: str) -> None:
    """Raise FieldErrors for `field` if a requested scope does not exist."""
    if not scopes:  # most sign-ins request none, and all routes would be read
        return
    labels = scope_labels(site)
    if not set(scopes) <= labels.keys():
        raise FieldErrors({field: gettext("Unknown scope. Available scopes: %(scopes)s.", scopes=", ".join(labels))})


def _default_verbs(feature: Feature) -> set[str]:
    """Return the verbs of the default scopes of a feature."""
    if feature.name == ACCOUNTS:
        return {MANAGE_ACCOUNT.partition(":")[2]}
    methods = chain.from_iterable(getattr(route, "methods", None) or () for route in listed_routes(feature.api))
    verbs = {READ if method in SAFE_METHODS else WRITE for method in methods}
    if feature.llm.functions:
        verbs.add(READ)
    if feature.llm.tools:
        verbs |= {READ, WRITE}
    return verbs


def _scopes_of_tools(features: Sequence[Feature]) -> Iterator[str]:
    for tool in chain.from_iterable(feature.llm.functions for feature in features):
        for parameter in signature(getattr(tool, "function", tool), eval_str=True).parameters.values():
            options = (*get_args(parameter.annotation), parameter.default)
            yield from chain.from_iterable(option.scopes or () for option in options if isinstance(option, Security))


def _declared_scopes(dependant: Dependant) -> Iterator[str]:
    for dependency in with_dependencies(dependant):
        yield from dependency.own_oauth_scopes or ()
