"""Results of examining a database."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opportune.db.url.database_url import DatabaseUrl


class Status(StrEnum):
    OK = "ok"
    NOTICE = "notice"
    """Worth knowing, but may be intended."""
    FAULT = "fault"
    """The site does not work, or will soon stop working."""


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis. `values` are the JSON values behind the text."""

    check: str
    status: Status
    text: str
    fix: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """Findings about one database. `url.name` is the setting of its URL."""

    url: DatabaseUrl
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.status == Status.FAULT]


def ok(check: str, text: str, **values: Any) -> Finding:
    return Finding(check, Status.OK, text, values=values)


def notice(check: str, text: str, fix: str = "", **values: Any) -> Finding:
    return Finding(check, Status.NOTICE, text, fix, values)


def fault(check: str, text: str, fix: str, **values: Any) -> Finding:
    return Finding(check, Status.FAULT, text, fix, values)


def fault_from_message(check: str, message: str) -> Finding:
    """Split a message of `opportune.db.errors.explain` into cause and fix."""
    for delimiter in (". ", ": "):
        cause, separator, fix = message.partition(delimiter)
        if separator:
            return fault(check, f"{cause}.", fix[:1].upper() + fix[1:])
    return fault(check, message, "Check DATABASE_URL.")


def milliseconds_since(start: float) -> float:
    """Return the time since a `time.perf_counter()`."""
    return round((time.perf_counter() - start) * 1000, 1)
