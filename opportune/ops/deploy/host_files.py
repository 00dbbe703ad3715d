"""The files that a host wants in a project: made from templates, and put there without harm to what somebody edited."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from enum import Enum
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from opportune.errors import OperatorError
from opportune.ops.deploy.recipes import STOP_SECONDS, Recipe
from opportune.ops.deploy.site_names import SiteNames
from opportune.runtime.atomic_files import replacement

RECORD = ".opportune-deploy.json"
"""What was written, by hashes: so an unedited file is known and can be renewed."""
SPARED_SECONDS = 2
"""Seconds of a host's time that answers of language models leave to the rest of the site."""
FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.DOTALL | re.MULTILINE)


class Outcome(Enum):
    WRITTEN = "Wrote"
    RENEWED = "Renewed"
    SAME = "Unchanged"
    KEPT = "Kept"


@dataclass(frozen=True)
class FileResult:
    path: str
    outcome: Outcome
    diff: str = ""
    """How what is there differs from what would be written."""


def render_files(recipe: Recipe, site: SiteNames) -> dict[str, str]:
    """The text of each of the host's files, by its path in the project."""
    folder = recipe.templates / "files"
    return {
        path.relative_to(folder).as_posix().replace("NAME", site.name): render(
            path.relative_to(recipe.templates).as_posix(), recipe, site
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def render_lines(name: str, recipe: Recipe, site: SiteNames) -> list[str]:
    """The lines of one of the host's texts for people: `next` or `traps`."""
    return render(f"{name}.txt", recipe, site).splitlines()


def render(template: str, recipe: Recipe, site: SiteNames) -> str:
    stop_seconds = recipe.stop_seconds or STOP_SECONDS
    return (
        _environment(recipe)
        .get_template(template)
        .render(
            host=recipe.host,
            recipe=recipe,
            name=site.name,
            title=site.title,
            domain=site.domain,
            repository=site.repository,
            stop_seconds=stop_seconds,
            grace_seconds=stop_seconds - SPARED_SECONDS,
        )
    )


def write_files(files: Mapping[str, str], root: Path, *, force: bool = False) -> Iterator[FileResult]:
    """Put each file into the project, whole or not at all; what somebody has edited stays, unless it is forced.

    Raises:
        OperatorError: one cannot be written.
    """
    record = _read_record(root)
    for path, text in files.items():
        result = _write(root / path, path, text, is_ours=record.get(path), force=force)
        if result.outcome is not Outcome.KEPT and record.get(path) != _hash(text):
            record[path] = _hash(text)
            write_text(root / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
        yield result


def _write(target: Path, path: str, text: str, *, is_ours: str | None, force: bool) -> FileResult:
    there, rest = _owned_part(target, path)
    if there == text:
        return FileResult(path, Outcome.SAME)
    if there and not force and _hash(there) != is_ours:
        lines = unified_diff(there.splitlines(), text.splitlines(), f"{path} (yours)", f"{path} (new)", lineterm="")
        return FileResult(path, Outcome.KEPT, "\n".join(lines))
    write_text(target, text + rest)
    return FileResult(path, Outcome.RENEWED if there else Outcome.WRITTEN)


def _owned_part(target: Path, path: str) -> tuple[str, str]:
    """What of a file is the host's matter, and the rest: of a README its front matter alone."""
    try:
        text = target.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "", ""
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"{path} cannot be read ({getattr(error, 'strerror', 'no UTF-8')}): move it away."
        ) from None
    if path != "README.md":
        return text, ""
    found = FRONT_MATTER.match(text)
    front = found[0] if found else ""
    return front, text[len(front) :]


def write_text(path: Path, text: str, *, is_private: bool = False) -> None:
    """Write a file that is there whole or not at all, readable by all who may read the project unless it is private.

    Raises:
        OperatorError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600 if is_private else 0o666 & ~_umask()
        with replacement(path) as file:
            file.write(text.encode())
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}): make its folder writable.") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_record(root: Path) -> dict[str, str]:
    try:
        data: Any = json.loads((root / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(path): str(hash_) for path, hash_ in data.items()} if isinstance(data, dict) else {}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _environment(recipe: Recipe) -> "Environment":
    return Environment(
        loader=FileSystemLoader(recipe.templates),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no pages: YAML, TOML and the like
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
