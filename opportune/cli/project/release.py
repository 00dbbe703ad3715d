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
"""Taken whole with each release."""
SHARED_PATHS = (
    *(".ci", ".devcontainer", ".dockerignore", ".env.example", ".gitattributes", ".github", ".gitignore"),
    *(".pre-commit-config.yaml", "AGENTS.md", "Dockerfile", "alembic.ini", "compose.yaml", "migrations/env.py"),
    *("migrations/script.py.mako", "pyproject.toml", "renovate.json", "requirements*.lock"),
    *("tests/__init__.py", "tests/conftest.py"),
)
"""Written once for a project, and its owner's from then on: a release that changes one asks."""
STARTER_PATHS = ("CHANGELOG.md", "bench", "docs", "tests/opportune")
"""Other framework files of a plain clone, updated where they still exist."""
RECORD = ".opportune.json"


@dataclass(frozen=True)
class Record:
    """The release that a project stands on."""

    version: str
    source: str = ""
    """The place of releases: the default source of `upgrade`."""
    startproject: Sequence[str] = ()
    """The arguments that made the project, with which a later release writes its shared files."""
    files: dict[str, str] = field(default_factory=dict)
    """The framework's and the shared files as the release had them: paths, and hashes of git's blobs."""


def record_release(
    root: Path, *, source: str = "", startproject: Sequence[str] = (), version: str = __version__
) -> None:
    """Write down that the files in a folder are those of this release: to be called before anybody changes one."""
    paths = matching(files_in(root), (*FRAMEWORK_PATHS, *SHARED_PATHS))
    files = {path: blob_hash((root / path).read_bytes()) for path in paths}
    write_record(root, Record(version, source if is_remote(source) else "", startproject, files))


def is_remote(address: str) -> bool:
    """Tell if other machines can reach an address: it is no local folder."""
    return bool(re.match(r"[a-z+]+://|[^/\\:]{2,}:[^\\]", address))


def write_record(root: Path, record: Record) -> None:
    (root / RECORD).write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8", newline="\n")


def read_record(root: Path) -> Record | None:
    """Return a project's record; None in a plain clone.

    Raises:
        OperatorError: somebody has damaged it.
    """
    try:
        record = Record(**json.loads((root / RECORD).read_bytes()))
        parse_version(record.version)
        bytes.fromhex("".join(record.files.values()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise OperatorError(f"{RECORD} is damaged: take it from git, as git checkout HEAD -- {RECORD}") from error
    return record


def files_in(root: Path) -> list[str]:
    """The framework's and the shared files in a folder: without what Python and the tools leave there."""
    found = [path for pattern in (*FRAMEWORK_PATHS, *SHARED_PATHS, *STARTER_PATHS) for path in root.glob(pattern)]
    files = [file for path in found for file in (path.rglob("*") if path.is_dir() else [path])]
    return sorted(
        file.relative_to(root).as_posix() for file in files if file.is_file() and "__pycache__" not in file.parts
    )


def matching(paths: Iterable[str], patterns: Sequence[str]) -> Iterator[str]:
    """Return the paths that equal, or lie in, one of these."""
    return (path for path in paths if any(fnmatchcase(path, each) or path.startswith(f"{each}/") for each in patterns))


def blob_hash(content: bytes) -> str:
    """The name that git gives to this content."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def parse_version(text: str) -> tuple[int, int, int, int, str]:
    """A version to compare with others: `1.2rc1` comes before `1.2.0`.

    Raises:
        ValueError: it is none.
    """
    if not (found := re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?[.-]?([a-z]+\.?\d*)?", text)):
        raise ValueError(text)
    return int(found[1]), int(found[2]), int(found[3] or 0), not found[4], found[4] or ""
