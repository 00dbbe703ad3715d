"""Files of a framework release, and the project's record of its release."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha1
from pathlib import Path

from opportune import __version__
from opportune.errors import OperatorError

FRAMEWORK_PATHS = ("LICENSE.opportune", "oppman.py", "opportune")
"""Files of the framework, replaced by each release."""
SHARED_PATHS = (
    *(".ci", ".devcontainer", ".dockerignore", ".env.example", ".gitattributes", ".github", ".gitignore"),
    *(".pre-commit-config.yaml", "AGENTS.md", "Dockerfile", "alembic.ini", "compose.yaml", "migrations/env.py"),
    *("migrations/script.py.mako", "pyproject.toml", "renovate.json", "requirements*.lock"),
    *("tests/__init__.py", "tests/conftest.py"),
)
"""Files written once for a project, which then belong to it. `upgrade` asks before it changes one."""
STARTER_PATHS = ("CHANGELOG.md", "bench", "docs", "tests/opportune")
"""Other framework files of a plain clone, updated where they still exist."""
RECORD = ".opportune.json"


@dataclass(frozen=True)
class Record:
    """The framework release of a project."""

    version: str
    source: str = ""
    """Address of the releases, the default source of `upgrade`; empty if unknown."""
    startproject: Sequence[str] = ()
    """Arguments of `startproject`. `upgrade` uses them to render the shared files of later releases."""
    files: dict[str, str] = field(default_factory=dict)
    """Git blob hashes of the framework's and the shared files in this release, by path."""


def record_release(
    root: Path, *, source: str = "", startproject: Sequence[str] = (), version: str = __version__
) -> None:
    """Write the record for a folder whose files are unchanged since this release."""
    paths = matching(files_in(root), (*FRAMEWORK_PATHS, *SHARED_PATHS))
    files = {path: blob_hash((root / path).read_bytes()) for path in paths}
    write_record(root, Record(version, source if is_remote(source) else "", startproject, files))


def is_remote(address: str) -> bool:
    """Return True for a network address, False for a local folder."""
    return bool(re.match(r"[a-z+]+://|[^/\\:]{2,}:[^\\]", address))


def write_record(root: Path, record: Record) -> None:
    (root / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8", newline="\n")


def read_record(root: Path) -> Record | None:
    """Return the record of a project; None in a plain clone.

    Raises:
        OperatorError: the file is damaged.
    """
    try:
        record = Record(**json.loads((root / RECORD).read_bytes()))
        parse_version(record.version)
        bytes.fromhex("".join(record.files.values()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise OperatorError(f"{RECORD} is damaged. Restore it: git checkout HEAD -- {RECORD}") from error
    return record


def files_in(root: Path) -> list[str]:
    """Return the framework's and the shared files in a folder, without compiled files."""
    paths = [path for pattern in (*FRAMEWORK_PATHS, *SHARED_PATHS, *STARTER_PATHS) for path in root.glob(pattern)]
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sorted(
        file.relative_to(root).as_posix() for file in files if file.is_file() and "__pycache__" not in file.parts
    )


def matching(paths: Iterable[str], patterns: Sequence[str]) -> Iterator[str]:
    """Return the paths that match a pattern or are inside a folder of that name."""
    return (path for path in paths if any(fnmatchcase(path, name) or path.startswith(f"{name}/") for name in patterns))


def blob_hash(content: bytes) -> str:
    """Return git's hash of a file with this content."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def parse_version(text: str) -> tuple[int, int, int, int, str]:
    """Return a sort key of a version: `1.2rc1` comes before `1.2.0`.

    Raises:
        ValueError: the text is not a version.
    """
    if not (match := re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?[.-]?([a-z]+\.?\d*)?", text)):
        raise ValueError(text)
    return int(match[1]), int(match[2]), int(match[3] or 0), not match[4], match[4] or ""
