"""`.env.example`: each setting with its description and its default, as a line to uncomment.

`python -m opportune.config.env_example` writes it from the settings of the project and of its features.
"""

import ast
import inspect
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from opportune.config.base_settings import BaseSettings
from opportune.config.project import origin
from opportune.config.settings import Settings

HEADING = "# Copy the lines that you change to .env, without the # before them.\n"
COMMON_SETTINGS = ("site_name", "base_url", "time_zone", "admin_email", "database_url", "mail_url", "mail_from")
AREAS = {
    "secrets_from": "General",
    "host": "Server",
    "admin_email": "Accounts",
    "google_client_id": "Sign-in with other providers",
    "database_url": "Database",
    "llm_base_url": "Language models",
    "mail_url": "E-mail",
    "storage_url": "Uploaded files",
    "backup_url": "Backups",
    "cache_url": "Cache and speed",
    "jobs": "Jobs",
    "log_format": "Logs and monitoring",
    "answer_grace_seconds": "Limits and costs of language models",
    "mcp_servers": "MCP",
}
"""Headings by the first setting of each area. The settings of an area follow each other in their class."""


def env_example(classes: Sequence[type[BaseSettings]]) -> str:
    """Return the text for these classes, with the site's class first. Settings of several classes appear once."""
    entries: dict[str, str] = {}
    areas: dict[str, list[str]] = {"Most sites change these": list(COMMON_SETTINGS)}
    for settings_class in classes:
        new = [name for name in settings_class.model_fields if name not in entries]
        entries |= _entries(settings_class, new)
        for area, name in _with_areas(settings_class, new):
            areas.setdefault(area, []).append(name)
    blocks = [HEADING]
    for area, names in areas.items():
        blocks += [f"# ===== {area} =====\n"] if any(name in entries for name in names) else []
        blocks += [entries.pop(name) for name in names if name in entries]
    return "\n".join(blocks)


def _entries(settings_class: type[BaseSettings], names: Iterable[str]) -> dict[str, str]:
    descriptions = docstrings(settings_class)
    defaults = {
        name: settings_class.model_fields[name].get_default(call_default_factory=True, validated_data={})
        for name in names
    }
    return {name: _entry(name, descriptions.get(name, ""), setting_text(value)) for name, value in defaults.items()}


def _with_areas(settings_class: type[BaseSettings], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each name after its heading. The settings of a project and of its features have headings of their own."""
    area = ""
    for name in names:
        module = _defining_class(settings_class, name).__module__
        if module.startswith("opportune."):
            area = AREAS.get(name, area)
        else:
            area = f"Settings of {'this project' if issubclass(settings_class, Settings) else origin(settings_class)}"
        yield area, name


def _defining_class(settings_class: type[BaseSettings], name: str) -> type:
    return next(each for each in reversed(settings_class.__mro__) if name in getattr(each, "__annotations__", {}))


def _entry(name: str, description: str, default: str) -> str:
    lines = [*map(str.strip, description.splitlines()), f"{name.upper()}={_quoted_if_needed(default)}"]
    return "".join(f"# {line}\n" for line in lines if line)


def _quoted_if_needed(value: str) -> str:
    """Return a value so that `.env` holds it in one line and gives it back unchanged."""
    if value == value.strip() and not any(mark in value for mark in ("\n", " #", "'", '"')):
        return value
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def docstrings(kind: type[BaseSettings]) -> dict[str, str]:
    """The words below each setting, read from the source: to keep them at run time would slow down every start."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if issubclass(each, BaseSettings):
            found |= _docstrings_in(each)
    return found


def _docstrings_in(kind: type[BaseSettings]) -> Iterator[tuple[str, str]]:
    # Python's own way to the source of a class goes through all of its file, and then the class is to be parsed again.
    source = Path(inspect.getfile(kind)).read_bytes()
    classes = dict(_classes_in(ast.parse(source)))
    for setting, words in pairwise(classes[kind.__qualname__].body):
        match setting, words:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text


def _classes_in(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    """The classes in it, as Python names them."""
    for each in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(each, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner += f"{each.name}." if isinstance(each, ast.ClassDef) else f"{each.name}.<locals>."
        if isinstance(each, ast.ClassDef):
            yield f"{prefix}{each.name}", each
        if not isinstance(each, ast.expr):
            yield from _classes_in(each, inner)


def setting_text(value: Any) -> str:
    """A value as `.env` has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


if __name__ == "__main__":
    from opportune.config.base_settings import settings_classes
    from opportune.config.project import PROJECT

    (PROJECT / ".env.example").write_text(env_example(settings_classes()), encoding="utf-8")
