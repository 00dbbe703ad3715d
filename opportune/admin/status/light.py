"""One line of what is told about the site's condition."""

from dataclasses import dataclass
from typing import Literal

from opportune.runtime.counts import counted


@dataclass(frozen=True)
class HealthLight:
    """One line: how a part of the site is."""

    part: str
    words: str
    state: Literal["ok", "notice", "fault"] = "ok"
    address: str = ""
    """Where to do something about it."""
    hint: str = ""
    """What to do about it."""


def sized(number: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def lasted(seconds: float) -> str:
    """A span of time as people read it, in its largest unit."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            return counted(int(seconds // length), unit)
    return f"{seconds:.0f} s"
