"""Scopes that the site's tools need, which programs can request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fastapi import FastAPI

from opportune.accounts.tokens.scopes import READ, WRITE, has_scope, scope_rows
from opportune.contrib.mcp.server.offers import offers_of
from opportune.contrib.tools.site_tools import toolbox_of
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l

VERBS = {READ: _l("read what you can see"), WRITE: _l("add, change and delete")}
MAX_EXAMPLES = 6


class ScopeDescription(NamedTuple):
    """Description of a scope for users."""

    label: str
    examples: Sequence[str]
    """Labels of tools that need it."""


def tool_scopes(site: FastAPI) -> dict[str, list[str]]:
    """Return the scopes of the site's tools, resources and prompts, with the labels of these."""
    offers = offers_of(site)
    labels: dict[str, list[str]] = {}
    for toolbox in (toolbox_of(site), offers.resources, offers.prompts):
        for name, tool in toolbox.tools.items():
            for scope in toolbox.needed_scopes(name):
                labels.setdefault(scope, []).append(tool.status)
    return dict(sorted(labels.items()))


def requested_scopes(site: FastAPI, parameter: str | None) -> list[str]:
    """Return the requested scopes that tools need. Without a parameter, return all."""
    requested = (parameter or "").split()
    return [scope for scope in tool_scopes(site) if not requested or has_scope(requested, scope)]


def describe_scopes(site: FastAPI, scopes: Iterable[str]) -> Mapping[str, ScopeDescription]:
    labels = {scope: (row.label, verb) for row in scope_rows(site) for verb, scope in row.scopes.items()}
    examples = tool_scopes(site)
    descriptions = {}
    for scope in scopes:
        label, verb = labels.get(scope, (_l("This site"), scope))
        translated = [_(text) for text in examples[scope][:MAX_EXAMPLES]]
        descriptions[scope] = ScopeDescription(f"{label}: {VERBS.get(verb, verb)}", translated)
    return descriptions
