"""Entries of a feature package in pyproject.toml and requirements.lock."""

import re
from collections.abc import Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from opportune.errors import OperatorError

DEPENDENCIES = re.compile(r"^dependencies = \[\n(?:.*\n)*?(?=^\])", re.MULTILINE)
PIN = re.compile(r"^([a-z0-9][\w.-]*)==(\S+) \\$", re.MULTILINE)
"""Package in the lock that is needed on all platforms."""


def with_dependency(text: str, requirement: str) -> str:
    """Add a requirement to the dependencies in pyproject.toml. It replaces another version.

    Raises:
        OperatorError: The file has no such list with one package per line.
    """
    text = without_dependency(text, Requirement(requirement).name)
    if not DEPENDENCIES.search(text):
        raise OperatorError(
            "pyproject.toml has no list `dependencies` with one package per line. Add it and try again."
        )
    return DEPENDENCIES.sub(lambda match: f'{match[0]}    "{requirement}",\n', text, count=1)


def without_dependency(text: str, name: str) -> str:
    return re.sub(rf'^ *"{_any_spelling(name)}(?![\w.-])[^"]*",.*\n', "", text, flags=re.MULTILINE | re.IGNORECASE)


def without_pin(lock: str, name: str) -> str:
    return re.sub(rf"^{_any_spelling(name)}==.*\n(?: +.*\n)*", "", lock, flags=re.MULTILINE)


def _any_spelling(name: str) -> str:
    return canonicalize_name(name).replace("-", "[-_.]+")


def satisfies(lock: str, requirements: Sequence[Requirement]) -> bool:
    """Return whether a lock already has all requirements, except those of extras."""
    pins = dict(PIN.findall(lock))
    return all(_is_pinned(requirement, pins) for requirement in requirements)


def _is_pinned(requirement: Requirement, pins: dict[str, str]) -> bool:
    if "extra ==" in str(requirement.marker):
        return True
    version = pins.get(canonicalize_name(requirement.name), "")
    is_plain = not (requirement.extras or requirement.url)
    return is_plain and bool(version) and requirement.specifier.contains(version, prereleases=True)
