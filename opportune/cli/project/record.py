"""The project's record of how it was created."""

import json
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
    """URL of the releases; empty if unknown."""


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
