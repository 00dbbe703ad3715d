"""Settings of a site: loading, and the settings that apply in this process.

Values come from the environment, then from `SECRETS_FROM`, then from `.env` in the project. A feature may have its own
class: `settings.of(BooksSettings)`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import PrivateAttr

from opportune.config.base_settings import BaseSettings, S, read_class
from opportune.config.validated_settings import ValidatedSettings
from opportune.context import use_value
from opportune.errors import SettingsError
from opportune.plurals import list_first
from opportune.project.layout import PACKAGE
from opportune.project.modules import settings_class

if TYPE_CHECKING:
    from opportune.feature import Feature


class Settings(ValidatedSettings):
    """Settings of a site. A project subclasses it in `app/settings.py` to add or change settings.

    class Settings(opportune.config.Settings):
        site_name: str = "Bookshop"
    """

    renamed_settings: ClassVar[dict[str, str]] = {
        "language_in_address": "is now LANGUAGE_IN_URL.",
        "staff_needs_two_factor": "is now NEEDS_SECOND_FACTOR: write NEEDS_SECOND_FACTOR=staff instead, or =none.",
    }

    _of_features: dict[type[BaseSettings], BaseSettings] = PrivateAttr(default_factory=dict)

    def of(self, class_: type[S]) -> S:
        """Return the settings of a feature, read once: `settings.of(BooksSettings).books_per_page`.

        Raises:
            SettingsError: A value is invalid.
        """
        if isinstance(self, class_):
            return self
        if class_ not in self._of_features:
            self._of_features[class_] = read_class(class_, _env_file=settings_class().model_config.get("env_file"))
        settings = self._of_features[class_]
        assert isinstance(settings, class_)
        return settings

    def having(self, *feature_settings: BaseSettings) -> Self:
        """Return a copy with other settings of features, for tests."""
        changed = self.model_copy()
        changed._of_features = {**self._of_features, **{type(settings): settings for settings in feature_settings}}
        return changed

    @property
    def pool_size(self) -> tuple[int, int]:
        """Connections that a pool keeps open, and those that it may open in addition. A process has two pools."""
        if not self.database_connections:
            return self.database_pool_size, self.database_max_overflow
        size = (self.database_connections // self.processes - self.listens_to_postgresql) // 2
        return size - size // 2, size // 2

    @property
    def listens_to_postgresql(self) -> bool:
        """Whether each process has a connection that waits for messages of others, if the database allows it."""
        return self.bus == "postgresql" or (self.bus == "auto" and self.jobs == "worker" and not self.has_redis)

    @property
    def has_redis(self) -> bool:
        return self.cache_url.get_secret_value().strip().startswith(("redis:", "rediss:"))

    @property
    def has_secure_cookies(self) -> bool:
        """Whether cookies get the attribute Secure, because browsers connect over HTTPS."""
        return self.is_production or self.local_https

    @property
    def hosts(self) -> list[str]:
        """Host names of accepted requests; empty means any."""
        if self.allowed_hosts:
            return self.allowed_hosts
        name = urlsplit(self.base_url).hostname
        return [name] if name else []


def site_url(settings: Settings) -> str:
    """Return the public URL of the site. The host of a request is not trusted: an attacker could choose it."""
    if settings.base_url:
        return settings.base_url
    hosts = [name for name in settings.allowed_hosts if "*" not in name]
    if settings.is_production and hosts:
        return f"https://{hosts[0]}"
    scheme = "https" if settings.local_https else "http"
    return f"{scheme}://127.0.0.1:{settings.port}"


def load_settings(**values: Any) -> Settings:
    """Read the site's settings.

    Args:
        values: Values that replace those of the environment and of `.env`.

    Raises:
        SettingsError: A setting is invalid. The message names it and does not show its value.
    """
    class_: type[Settings] = settings_class()
    if missing := sorted(Settings.model_fields.keys() - getattr(class_, "model_fields", {}).keys()):
        names = list_first([name.upper() for name in missing], limit=3)
        raise SettingsError(
            f"{PACKAGE}/settings.py: Settings lacks {names}. Begin it with class Settings(opportune.config.Settings):"
        )
    return read_class(class_, **values)


def read_feature_settings(settings: Settings, features: "Sequence[Feature]") -> None:
    """Read the settings of all features, so that mistakes are reported at the start.

    Raises:
        SettingsError: A value is invalid, or two classes read the same variable.
    """
    owners = dict.fromkeys(type(settings).model_fields, "the site")
    for feature in features:
        if feature.settings:
            for name in feature.settings.model_fields.keys() - BaseSettings.model_fields.keys():
                if name in owners:
                    raise SettingsError(
                        f"{name.upper()} is a setting of {owners[name]} and of {feature.name}: rename one."
                    )
                owners[name] = feature.name
            settings.of(feature.settings)


_override: ContextVar[Settings | None] = ContextVar("settings_override", default=None)
_of_process: list[Settings] = []
"""Settings that an existing application passes to `opportune.mount`."""


def get_settings() -> Settings:
    """Return the settings of this process. They are read once."""
    return _override.get() or (_of_process[-1] if _of_process else _read_once())


def set_settings(settings: Settings) -> None:
    """Let `get_settings` return these settings from now on."""
    _of_process.append(settings)


def using_settings(settings: Settings) -> AbstractContextManager[None]:
    """Let `get_settings` return these settings in the block, in this thread or task."""
    return use_value(_override, settings)


def clear_settings_cache() -> None:
    """Clear the cached settings, so that they are read again."""
    _read_once.cache_clear()


@lru_cache
def _read_once() -> Settings:
    return load_settings()
