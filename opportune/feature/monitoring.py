"""Checks and measurements of a feature, for operators."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.errors.option_names import strict


@strict
@dataclass(frozen=True)
class HealthLight:
    """A line of the status page: the condition of one part of the site."""

    part: str
    """Name of the part, such as "Catalogue"."""
    words: str
    """Its condition in a few words, such as "is available"."""
    state: Literal["ok", "notice", "fault"] = "ok"
    """`notice` is shown in yellow and `fault` in red. Only a fault makes the status red."""
    url: str = ""
    """Page where a superuser can act on it."""
    hint: str = ""
    """Advice for a state that is not ok."""


@strict
@dataclass(frozen=True)
class Gauge:
    """A number from the database for `GET /metrics`."""

    name: str
    """Name of the metric, such as `books_lent`."""
    description: str
    """One sentence for `# HELP`."""
    samples: Sequence[tuple[Mapping[str, str], float]]
    """Labels and value. No label may contain text of visitors."""


@strict
@dataclass(frozen=True)
class Finding:
    """One line of `oppman.py check`: a problem and the next step. A warning may be intended; an error must be fixed."""

    text: str
    """The problem and the next step, in one line."""
    is_error: bool = True
    """Whether `check` fails with it. A warning has False."""


Check = Callable[[Any], Iterator[Finding]]
"""Inspects the site's settings."""


@strict
@dataclass(frozen=True)
class Monitoring:
    """Checks before the start, and the state of the running site."""

    _: KW_ONLY
    checks: Sequence[Check] = ()
    """Checks for `oppman.py check`."""
    production_checks: Sequence[Check] = ()
    """Checks for `oppman.py check --deploy`, for a start in production, and for the admin's page Operations."""
    host_check: str = ""
    """Path of a check for `check --deploy` on a known host. It replaces the framework's production checks."""
    connection_checks: Sequence[Check] = ()
    """Checks for `check --try`, which connect to servers."""
    report_error: Callable[[Exception, Any], None] | None = None
    """Report an unexpected error that ended a command, with the site's settings."""
    status: Mapping[str, Callable[[FastAPI], Awaitable[Sequence[HealthLight]]]] = field(default_factory=dict)
    """Lines of the status page by their heading. Features may share a heading."""
    gauges: Callable[[AsyncSession], Awaitable[Sequence[Gauge]]] | None = None
    """Reads numbers for `GET /metrics` when they are requested."""
