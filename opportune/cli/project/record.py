"""The project's record of how it was created, and versions of releases."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from opportune.errors import OperatorError

RECORD = ".opportune.json"


@dataclass(frozen=True)
class Record:
    """Values of `startproject` that `upgrade` needs to write the shared files of later releases."""

    title: str
    slug: str
    source: str = ""
    """Address of the releases; empty if unknown."""


def is_remote(address: str) -> bool:
    """Return True for a network address, False for a local folder."""
    return bool(re.match(r"[a-z+]+://|[^/\\:]{2,}:[^\\]", address))


def write_record(root: Path, record: Record) -> None:
    (root / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8", newline="\n")


def read_record(root: Path) -> Record | None:
    """Return the record of a project; None in a clone of the starter.

    Raises:
        OperatorError: the file is damaged.
    """
    try:
        return Record(**json.loads((root / RECORD).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise OperatorError(f"{RECORD} is damaged. Restore it: git checkout HEAD -- {RECORD}") from error


def parse_version(text: str) -> tuple[int, int, int, int, str]:
    """Return a sort key of a version: `1.2rc1` comes before `1.2.0`.

    Raises:
        ValueError: the text is not a version.
    """
    if not (match := re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?[.-]?([a-z]+\.?\d*)?", text)):
        raise ValueError(text)
    return int(match[1]), int(match[2]), int(match[3] or 0), not match[4], match[4] or ""
