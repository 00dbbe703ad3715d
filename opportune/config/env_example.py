"""Descriptions of settings, and `.env.example`: the most common ones, as lines to uncomment.

`oppman.py env example` writes it from the settings of the project and of its features.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr
from pydantic_core import to_json
from pydantic_settings import NoDecode
from typing_extensions import Format, get_annotations

from opportune.config.base_settings import BaseSettings
from opportune.config.setting_docstrings import setting_docstrings
from opportune.config.settings import Settings
from opportune.project.env_values import quoted_if_needed
from opportune.project.layout import origin

HEADING = """\
# Copy the lines that you change to .env, without the # before them.
# These are the settings of the first week. List all of them: python3 oppman.py env --all
"""
MASK = "**********"
"""Text of secrets in values of Pydantic."""
COMMON_SETTINGS = (
    "site_name",
    "site_description",
    "base_url",
    "environment",
    "debug",
    "secret_key",
    "admin_email",
    "registration",
    "language",
    "languages",
    "time_zone",
    "database_url",
    "database_direct_url",
    "storage_url",
    "mail_url",
    "mail_from",
    "llm_base_url",
    "llm_api_key",
    "llm_model",
    "jobs",
)
"""The framework's settings in `.env.example`, which also lists all settings of the project and of its features."""
AREAS = {
    "secrets_from": "General",
    "host": "Server",
    "admin_email": "Accounts",
    "google_client_id": "Sign-in with other providers",
    "database_url": "Database",
    "llm_base_url": "Language models",
    "image_model": "Pictures, speech and ranking",
    "mail_url": "E-mail",
    "storage_url": "Uploaded files",
    "backup_url": "Backups",
    "cache_url": "Cache and speed",
    "jobs": "Jobs",
    "log_format": "Logs",
    "heartbeat_url": "Monitoring",
    "llm_max_tokens_per_person_per_day": "Limits and costs of language models",
    "mcp_servers": "MCP",
}
"""Headings by the first setting of each area. The settings of an area follow each other in their class."""


class Description(NamedTuple):
    """Explains a setting to the operator of the site."""

    area: str
    text: str
    default: str


def env_example(classes: Sequence[type[BaseSettings]]) -> str:
    """Return the text for these classes, with the site's class first."""
    settings = describe_settings(classes)
    blocks = [HEADING, *(_entry(name, settings[name]) for name in COMMON_SETTINGS if name in settings)]
    other_settings = [(name, setting) for name, setting in settings.items() if setting.area not in AREAS.values()]
    for area, entries in groupby(other_settings, key=lambda entry: entry[1].area):
        blocks.append(f"# ===== {area} =====\n")
        blocks += [_entry(name, setting) for name, setting in entries]
    return "\n".join(blocks)


def describe_settings(classes: Sequence[type[BaseSettings]]) -> dict[str, Description]:
    """Return the settings of these classes by name, in their order. Settings of several classes appear once."""
    settings: dict[str, Description] = {}
    for settings_class in classes:
        texts = setting_docstrings(settings_class)
        new_names = [name for name in settings_class.model_fields if name not in settings]
        for area, name in _with_areas(settings_class, new_names):
            field = settings_class.model_fields[name]
            value = field.get_default(call_default_factory=True, validated_data={})
            default = setting_text(value, is_json=NoDecode not in field.metadata)
            settings[name] = Description(area, texts.get(name, ""), "" if MASK in default else default)
    return settings


def _with_areas(settings_class: type[BaseSettings], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each name with its heading. The project and each of its features have a separate heading."""
    area = ""
    for name in names:
        module = _defining_class(settings_class, name).__module__
        if module.startswith("opportune."):
            area = AREAS.get(name, area)
        else:
            owner = "this project" if issubclass(settings_class, Settings) else origin(settings_class)
            area = f"Settings of {owner}"
        yield area, name


def _defining_class(settings_class: type[BaseSettings], name: str) -> type:
    bases = reversed(settings_class.__mro__)
    return next(base for base in bases if name in get_annotations(base, format=Format.FORWARDREF))


def _entry(name: str, setting: Description) -> str:
    lines = [*map(str.strip, setting.text.splitlines()), f"{name.upper()}={quoted_if_needed(setting.default)}"]
    return "".join(f"# {line}\n" for line in lines if line)


def setting_text(value: Any, *, is_json: bool = False) -> str:
    """Return the text of a value in `.env`. Collections are JSON there, unless their setting parses another form."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    value = value.value if isinstance(value, Enum) else value
    value = value.decode(errors="replace") if isinstance(value, bytes) else value
    if is_json and value and isinstance(value, Collection | BaseModel) and not isinstance(value, str):
        return to_json(value).decode()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ",".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


if __name__ == "__main__":  # `upgrade` of 0.2 runs this module
    from opportune.config.base_settings import settings_classes
    from opportune.project.layout import PROJECT

    (PROJECT / ".env.example").write_text(env_example(settings_classes()), encoding="utf-8")
