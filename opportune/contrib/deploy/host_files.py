"""Configuration files of a host, with the site's names: rendered from templates, never over edited files."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import unified_diff
from enum import Enum
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from opportune.config.hosts import RESERVED_STOP_SECONDS
from opportune.contrib.deploy.recipes import STOP_SECONDS, Recipe
from opportune.contrib.deploy.site_names import SiteNames
from opportune.contrib.deploy.text_files import write_deploy_file
from opportune.project.text_files import read_text

RECORD = ".opportune-deploy.json"
"""File with the hashes of written files. A file with the same hash is unedited and can be updated."""
FRONT_MATTER = re.compile(r"\A---\n.*?^---\n", re.DOTALL | re.MULTILINE)


class FileOutcome(Enum):
    WRITTEN = "Wrote"
    UPDATED = "Updated"
    SAME = "Unchanged"
    KEPT = "Kept"


@dataclass(frozen=True)
class FileResult:
    path: str
    outcome: FileOutcome
    diff: str = ""
    """Difference between the edited file and the new one."""


def render_files(recipe: Recipe, site: SiteNames) -> dict[str, str]:
    """Return the content of the host's files by their path in the project."""
    folder = recipe.templates / "files"
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    return {name.replace("NAME", site.name): render(f"files/{name}", recipe, site) for name in names}


def render_steps(recipe: Recipe, site: SiteNames) -> list[str]:
    """Return the next steps of the operator, line by line."""
    return render("next.txt", recipe, site).splitlines()


def render(template: str, recipe: Recipe, site: SiteNames) -> str:
    stop_seconds = recipe.stop_seconds or STOP_SECONDS
    environment = Environment(
        loader=FileSystemLoader(recipe.templates),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, TOML and shell commands, no HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        asdict(site),
        host=recipe.host,
        recipe=recipe,
        stop_seconds=stop_seconds,
        grace_seconds=stop_seconds - RESERVED_STOP_SECONDS,
    )


def write_files(files: Mapping[str, str], root: Path, *, force: bool = False) -> list[FileResult]:
    """Write files into the project. Files edited by the operator are kept unless `force` is set."""
    record = _read_record(root)
    results: list[FileResult] = []
    for path, text in files.items():
        result = _write_file(root / path, path, text, written_hash=record.get(path), force=force)
        if result.outcome is not FileOutcome.KEPT and record.get(path) != _hash(text):
            record[path] = _hash(text)
            write_deploy_file(root / RECORD, json.dumps(record, indent=1, sort_keys=True) + "\n")
        results.append(result)
    return results


def _write_file(target: Path, path: str, text: str, *, written_hash: str | None, force: bool) -> FileResult:
    current, tail = _split_managed_part(target, path)
    if current == text:
        return FileResult(path, FileOutcome.SAME)
    if current is not None and not force and _hash(current) != written_hash:
        lines = unified_diff(current.splitlines(), text.splitlines(), f"{path} (yours)", f"{path} (new)", lineterm="")
        return FileResult(path, FileOutcome.KEPT, "\n".join(lines))
    write_deploy_file(target, text + tail)
    return FileResult(path, FileOutcome.WRITTEN if current is None else FileOutcome.UPDATED)


def _split_managed_part(target: Path, path: str) -> tuple[str | None, str]:
    """Split an existing file into the parts to replace and to keep. README.md is kept except for its front matter."""
    text = read_text(target) if target.exists() else None
    if text is None or path != "README.md":
        return text, ""
    match = FRONT_MATTER.match(text)
    return (match[0], text[match.end() :]) if match else (None, text)


def _read_record(root: Path) -> dict[str, str]:
    try:
        data: Any = json.loads((root / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(path): str(hash_) for path, hash_ in data.items()} if isinstance(data, dict) else {}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
