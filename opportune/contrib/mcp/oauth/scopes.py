"""What a program can be let do: what the site's tools need."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fastapi import FastAPI

from opportune.accounts.tokens.scopes import READ, WRITE, has_scope, scope_rows
from opportune.llm.tools.toolbox import toolbox_of

VERBS = {READ: "look at what you can see", WRITE: "add, change and delete"}
MAX_EXAMPLES = 6


class ScopeWords(NamedTuple):
    """A scope as people are asked for it."""

    label: str
    examples: Sequence[str]
    """What tools do with it."""


def tool_scopes(site: FastAPI) -> dict[str, list[str]]:
    """The scopes that tools of the site need, and what those tools do."""
    toolbox, found = toolbox_of(site), dict[str, list[str]]()
    for name, tool in toolbox.tools.items():
        for scope in toolbox.needed_scopes(name):
            found.setdefault(scope, []).append(tool.status)
    return dict(sorted(found.items()))


def asked_scopes(site: FastAPI, asked: str | None) -> list[str]:
    """Those of them that a program asks for; all, if it does not say. Others are no scopes here."""
    known, wanted = tool_scopes(site), (asked or "").split()
    return [scope for scope in known if not wanted or has_scope(wanted, scope)]


def scope_words(site: FastAPI, scopes: Iterable[str]) -> Mapping[str, ScopeWords]:
    labels = {scope: (row.label, verb) for row in scope_rows(site.state.features) for verb, scope in row.scopes.items()}
    known, words = tool_scopes(site), {}
    for scope in scopes:
        label, verb = labels.get(scope, ("This site", scope))
        words[scope] = ScopeWords(f"{label}: {VERBS.get(verb, verb)}", known[scope][:MAX_EXAMPLES])
    return words
