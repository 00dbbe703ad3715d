"""Migration files.

They are parsed, not imported, so that pending migrations are known without importing Alembic.
"""

import ast
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opportune.errors import OperatorError
from opportune.project.assignments import assigned_values
from opportune.project.layout import display_path

HEADER_NAMES = ("revision", "down_revision", "depends_on", "replaces", "safety_assured")
HEADER = re.compile(rf"^(?:{'|'.join(HEADER_NAMES)})\b", re.MULTILINE)

NOT_ATOMIC = ("autocommit_block", "in_batches(")
"""Code that commits within a migration. A comment that contains it also makes a migration not atomic."""

# Python counts the recursion depth of the parser for all threads together, so parallel parsing raises SystemError.
_parser_lock = threading.Lock()


@dataclass(frozen=True)
class Migration:
    """Migration file `<feature>/NNNN_title.py`."""

    path: Path
    revision: str
    follows: tuple[str, ...]
    """Previous revisions of the feature."""
    depends_on: tuple[str, ...]
    """Revisions of other features that must be applied first."""
    is_atomic: bool = True
    """Whether it runs in one transaction. Otherwise an `autocommit_block` or `in_batches` commits some of its steps."""
    replaces: tuple[str, ...] = ()
    """Revisions that it replaces after `squashmigrations`."""
    safety_assured: str = ""
    """Reason why the previous version of the code keeps working, or is no longer running."""

    @property
    def feature(self) -> str:
        return self.path.parent.name

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> int:
        """Number at the start of the name, or 0 without one."""
        number = self.name.partition("_")[0]
        return int(number) if number.isdecimal() else 0

    def __str__(self) -> str:
        return f"{self.feature}.{self.name}"


def read_migration(path: Path) -> Migration:
    """Parse the header of a migration file without importing it."""
    try:
        text = path.read_text(encoding="utf-8")
        with _parser_lock:
            module = ast.parse(_header_of(text))
        values = _read_assignments(module)
    except (SyntaxError, ValueError, TypeError) as error:
        raise _not_a_migration(path, f"{type(error).__name__}: {error}") from None
    if not values.get("revision"):
        raise _not_a_migration(path, "it sets no revision")
    return Migration(
        path,
        revision=values["revision"][0],
        follows=values.get("down_revision", ()),
        depends_on=values.get("depends_on", ()),
        is_atomic=not any(name in text for name in NOT_ATOMIC),
        replaces=values.get("replaces", ()),
        safety_assured=" ".join(values.get("safety_assured", ())),
    )


def _not_a_migration(path: Path, reason: str) -> OperatorError:
    return OperatorError(f"{display_path(path)} is not a migration: {reason}. Correct or delete it.")


def _header_of(text: str) -> str:
    """Return the text before the first function, which is faster to parse, or the whole text if variables follow."""
    head, _, steps = text.partition("\ndef ")
    return text if "\n@" in head or HEADER.search(steps) else head


def _read_assignments(module: ast.Module) -> Mapping[str, tuple[str, ...]]:
    assigned = assigned_values(module.body)
    literals = {name: ast.literal_eval(assigned[name]) for name in HEADER_NAMES if name in assigned}
    return {name: (value,) if isinstance(value, str) else tuple(value or ()) for name, value in literals.items()}
