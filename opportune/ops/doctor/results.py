"""What a look at a database brings to light."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from opportune.db.url.database_url import DatabaseURL


class Status(StrEnum):
    OK = "ok"
    NOTICE = "notice"
    """Worth knowing, and may be meant so."""
    FAULT = "fault"
    """The site does not work like this, or not for long."""


@dataclass(frozen=True)
class Finding:
    """One line of a diagnosis. `values` are the numbers and names behind the text, as JSON takes them."""

    check: str
    status: Status
    text: str
    fix: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """All that was found about one address; `url.name` is the setting that it came from."""

    url: DatabaseURL
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


def explained(check: str, line: str) -> Finding:
    """A fault in the words of `faults.explain`: the cause, then what to do about it."""
    for end in (". ", ": "):
        cause, mark, fix = line.partition(end)
        if mark:
            return fault(check, f"{cause}.", fix[:1].upper() + fix[1:])
    return fault(check, line, "Check DATABASE_URL.")


def milliseconds_since(started: float) -> float:
    """Since a `time.perf_counter()`."""
    return round((time.perf_counter() - started) * 1000, 1)
