"""All settings with their source and without secrets, for superusers and commands."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import SecretStr

from opportune.config.base_settings import BaseSettings
from opportune.config.env_example import setting_text
from opportune.config.secrets import read_settings
from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError, SettingsError
from opportune.feature import Feature
from opportune.i18n import pgettext_lazy
from opportune.mail.factory import transport_for
from opportune.project.layout import PROJECT
from opportune.storage.location import parse_storage_url
from opportune.web.cache.factory import cache_name


def _storage_label(settings: Settings) -> object:
    location = parse_storage_url(settings)
    return getattr(location, "label", location)  # a folder has no label


SECRET_NAME = re.compile(r"(?:^|_)(?:key|password|secret|token)$")
# Parsers describe these URLs without passwords, which can be in several parts of a URL.
URLS: dict[str, Callable[[Settings], object]] = {
    "mail_url": lambda settings: transport_for(settings).name,
    "storage_url": _storage_label,
    "cache_url": lambda settings: cache_name(settings.cache_url.get_secret_value()),
}


class DisplayedSetting(NamedTuple):
    name: str
    value: str
    source: str
    is_secret: bool
    """Whether the value is secret, so that the page only shows whether it is set."""
    default: str = ""
    differs: bool = False
    """Whether the value differs from the default."""


def list_displayed_settings(settings: Settings, features: Sequence[Feature] = ()) -> Iterator[DisplayedSetting]:
    """Yield all settings in the order of `env --all`: first the site, then its features."""
    owners = _find_owners(settings, features)
    dotenv_names = {name.upper() for name in dotenv_values(PROJECT / ".env")}
    stored_names = _read_secret_names(settings.secrets_from, list(owners)) if settings.secrets_from else set()
    for name, owner in owners.items():
        value = getattr(owner, name)
        is_set = name in owner.model_fields_set
        default = type(owner).model_fields[name].get_default(call_default_factory=True, validated_data={})
        yield DisplayedSetting(
            name.upper(),
            _display_text(owner, name, value),
            _source(name, dotenv_names, stored_names, is_set=is_set),
            _is_secret(name, value),
            default=setting_text(default),
            differs=is_set and value != default,
        )


def _find_owners(settings: Settings, features: Sequence[Feature]) -> dict[str, BaseSettings]:
    """Return the object that has each setting, by name: first the site, then its features."""
    owners: dict[str, BaseSettings] = dict.fromkeys(type(settings).model_fields, settings)
    for feature_settings in (feature.settings for feature in features if feature.settings):
        new_names = [name for name in feature_settings.model_fields if name not in owners]
        owners |= dict.fromkeys(new_names, settings.of(feature_settings))
    return owners


def _is_secret(name: str, value: object) -> bool:
    """Return whether a setting is a secret, by its type or its name. Features may declare secrets as `str`."""
    is_plain = isinstance(value, str) and SECRET_NAME.search(name) is not None
    return (is_plain or isinstance(value, SecretStr)) and _url_reader(name) is None


def _display_text(settings: BaseSettings, name: str, value: Any) -> str:
    if read_url := _url_reader(name):
        return _describe_url(read_url, settings) if setting_text(value) else ""
    if _is_secret(name, value):
        return pgettext_lazy("setting", "set") if setting_text(value) else ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else _remove_credentials(str(value))


def _url_reader(name: str) -> Callable[[Any], object] | None:
    """Return a function that describes a URL without its password; None if the setting is not such a URL."""
    if name.endswith("_url") and "database" in name:
        return lambda settings: DatabaseUrl.parse(getattr(settings, name).get_secret_value()).redacted
    return URLS.get(name)


def _describe_url(read_url: Callable[[Any], object], settings: BaseSettings) -> str:
    try:
        return str(read_url(settings))
    except OperatorError:
        return pgettext_lazy("setting", "set, but not valid")


def _remove_credentials(text: str) -> str:
    """Remove user name, password, query and fragment from a URL."""
    if "://" not in text:
        return text
    parts = urlsplit(text)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _read_secret_names(secrets_from: str, names: Sequence[str]) -> set[str]:
    """Return the names of settings in `SECRETS_FROM`; empty if it cannot be read now."""
    with suppress(SettingsError):
        return set(read_settings(secrets_from, names))
    return set()


def _source(name: str, dotenv_names: set[str], stored_names: set[str], *, is_set: bool) -> str:
    if name.upper() in {variable.upper() for variable in os.environ}:
        return pgettext_lazy("setting", "environment")
    if not is_set:
        return pgettext_lazy("setting", "default")
    if name in stored_names:
        return "SECRETS_FROM"
    return ".env" if name.upper() in dotenv_names else pgettext_lazy("setting", "set at start")
