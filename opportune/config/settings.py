"""Loading and validation of the settings of a site.

Values come from the environment, then from `SECRETS_FROM`, then from `.env` in the project. A feature may have its own
class: `settings.of(BooksSettings)`.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pydantic_settings
from pydantic import (
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, PydanticBaseSettingsSource

from opportune.config.base_settings import BaseSettings, S, read_class
from opportune.config.host_names import ascii_host
from opportune.config.languages import find_language
from opportune.config.llm_models import BEDROCK_URL, VENDOR_URLS, find_list_error, read_model
from opportune.config.site_settings import SiteSettings
from opportune.errors import SettingsError
from opportune.project.layout import PACKAGE, settings_class

if TYPE_CHECKING:
    from opportune.feature import Feature

EXAMPLE_SECRET_KEYS = {"secret", "changeme", "change-me", "changethis", "dev_secret_key_change_in_production"}
"""Well-known example keys, which production refuses."""
MIN_SECRET_KEY_LENGTH = 32
MIN_CONNECTIONS = 3
"""Connections of a process: to read, to write, and to listen."""
HOST_PATTERN = re.compile(r"\*|(\*\.)?[^*/:]+|\[.+\]")
"""Host of a request, without scheme, port and path. The last form is an IPv6 address."""
ORIGIN_PATTERN = re.compile(r"\*|https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""`Origin` header of a browser: lower case, without a path."""
GENERATE_KEY_COMMAND = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"

RENAMED_SETTINGS = {
    "language_in_address": "is now LANGUAGE_IN_URL.",
    "staff_needs_two_factor": "is now NEEDS_SECOND_FACTOR: write NEEDS_SECOND_FACTOR=staff instead, or =none.",
}
"""Advice by the former name. The site does not start if such a setting is set, because ignoring it could be unsafe."""

SOCIAL_PROVIDERS = ("google", "github", "microsoft", "oidc")
"""Sign-in providers. The names of their settings begin with these words."""


def is_weak(key: str) -> bool:
    return key.lower() in EXAMPLE_SECRET_KEYS or len(key) < MIN_SECRET_KEY_LENGTH or len(set(key)) < 8


def has_value(setting: str | SecretStr) -> bool:
    return bool(setting.get_secret_value() if isinstance(setting, SecretStr) else setting)


class Settings(SiteSettings):
    """Settings of a site, validated. A project subclasses it in `app/settings.py` to add or change settings.

    class Settings(opportune.config.Settings):
        site_name: str = "Bookshop"
    """

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[pydantic_settings.BaseSettings], *sources: Any, **named_sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Refuse renamed settings in the environment and in `.env`."""
        _refuse_renamed((*sources, *named_sources.values()))
        return super().settings_customise_sources(settings_cls, *sources, **named_sources)

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

    @field_validator("allowed_hosts", "cors_origins", "languages", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: list[str]) -> list[str]:
        # As in Django, .example.org means the host and all its subdomains.
        hosts = [host for name in value for host in ((name[1:], f"*{name}") if name.startswith(".") else (name,))]
        names = [ascii_host(name) for name in hosts]
        if not all(HOST_PATTERN.fullmatch(name) for name in names):
            raise ValueError("must be hosts such as example.org, or *.example.org for its subdomains")
        return names

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: list[str]) -> list[str]:
        origins = [origin.rstrip("/").lower() for origin in value]
        if not all(ORIGIN_PATTERN.fullmatch(origin) for origin in origins):
            raise ValueError("must be origins without a path, such as https://app.example.org, or *")
        return origins

    @field_validator("database_connections")
    @classmethod
    def _check_database_connections(cls, value: int, info: ValidationInfo) -> int:
        fewest = MIN_CONNECTIONS * info.data.get("processes", 1)
        if 0 < value < fewest:
            raise ValueError(f"must be at least {fewest}, which is {MIN_CONNECTIONS} for each of PROCESSES")
        return value

    @field_validator("jobs_limits", mode="before")
    @classmethod
    def _read_jobs_limits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        limits = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(name.strip() and limit.strip().isdecimal() for name, _, limit in limits):
            raise ValueError("must be queues with numbers, such as mail=5,*=50")
        return {name.strip(): int(limit) for name, _, limit in limits}

    @field_validator("site_name")
    @classmethod
    def _check_site_name(cls, value: str) -> str:
        if not (value.strip() and value.isprintable()):
            raise ValueError("must be one line of text")
        return value.strip()

    @field_validator("time_zone")
    @classmethod
    def _check_time_zone(cls, value: str) -> str:
        if value == "UTC":  # other time zones are files
            return value
        try:
            return str(ZoneInfo(value))
        except (LookupError, OSError, ValueError):
            raise ValueError("must be the name of a time zone, such as Europe/Vienna") from None

    @field_validator("language")
    @classmethod
    def _check_language(cls, value: str) -> str:
        language = find_language(value)
        if language is None:
            raise ValueError(f"{value!r} is not the code of an installed language, such as de or pt-BR")
        return language.code

    @field_validator("languages")
    @classmethod
    def _check_languages(cls, value: list[str], info: ValidationInfo) -> list[str]:
        codes = [*dict.fromkeys(cls._check_language(code) for code in value)]
        if codes and (default := info.data.get("language")) not in [*codes, None]:
            raise ValueError(f"must contain LANGUAGE, which is {default}")
        return codes

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and parts.hostname and " " not in parts.netloc
        if not is_url or parts.path.strip("/") or parts.query:
            raise ValueError("must be a URL without a path, such as https://example.org")
        if not (host := ascii_host(parts.netloc)):
            raise ValueError("has an invalid host name")
        return value.replace(parts.netloc, host, 1).rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        try:
            for name in filter(None, map(str.strip, value.split(","))):
                if name != "*":
                    ip_network(name)
        except ValueError:
            raise ValueError("must be addresses or networks, such as 127.0.0.1,10.0.0.0/8, or *") from None
        return value

    @field_validator("llm_models", mode="before")
    @classmethod
    def _parse_models(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return TypeAdapter(list[Any]).validate_json(value or "[]")
        except ValidationError:
            raise ValueError('must be a JSON list such as [{"name": "Fast", "model": "openai/gpt-5-mini"}]') from None

    @field_validator("embedding_model", mode="before")
    @classmethod
    def _parse_embedding_model(cls, value: object) -> object:
        return read_model(value, example="nomic-embed-text")

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        if problem := find_list_error(self.llm_models):
            raise ValueError(f"LLM_MODELS: {problem}")
        models = [("LLM_MODELS", model) for model in self.llm_models]
        if self.embedding_model:
            models.append(("EMBEDDING_MODEL", self.embedding_model))
        for setting, model in models:
            if model.api_key_setting and not isinstance(getattr(self, model.api_key_setting, None), SecretStr):
                raise ValueError(
                    f"{setting}: there is no setting {model.api_key_setting} with the key of {model.name}: "
                    f'in {PACKAGE}/settings.py write {model.api_key_setting}: SecretStr = SecretStr("")'
                )
            if model.dialect == "bedrock" and not model.base_url.startswith("https:"):
                raise ValueError(f"{setting}: {model.name} needs the base_url of a region, {BEDROCK_URL}")
            if not (model.base_url or model.provider or model.dialect in VENDOR_URLS or self.llm_base_url):
                raise ValueError(f"{setting}: {model.name} needs a base_url, or set LLM_BASE_URL for all models")
        if self.llm_dialect != "openai" and not (self.llm_models or self.llm_model):
            raise ValueError(f"LLM_DIALECT={self.llm_dialect} needs LLM_MODEL")
        if self.llm_dialect == "bedrock" and not self.llm_base_url.startswith("https:"):
            raise ValueError(f"LLM_DIALECT=bedrock needs the LLM_BASE_URL of a region, {BEDROCK_URL}")
        return self

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_log_level(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("oidc_url")
    @classmethod
    def _check_oidc_url(cls, value: str) -> str:
        parts = urlsplit(value)
        is_local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value and not (parts.hostname and (parts.scheme == "https" or is_local)):
            raise ValueError("must be an https address such as https://id.example.org")
        return value

    @model_validator(mode="after")
    def _check_providers(self) -> Self:
        for name in SOCIAL_PROVIDERS:
            parts = [f"{name}_client_id", f"{name}_client_secret", *(["oidc_url"] if name == "oidc" else [])]
            missing = [part.upper() for part in parts if not has_value(getattr(self, part))]
            if missing and len(missing) < len(parts):
                raise ValueError(
                    f"{missing[0]} is missing. Sign-in with {name} needs {', '.join(map(str.upper, parts))}"
                )
        return self

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        key = self.secret_key.get_secret_value()
        if not self.is_production:
            if not key:
                # A random key of this process, for development.
                object.__setattr__(self, "secret_key", SecretStr(secrets.token_urlsafe(48)))
            return self
        if not key:
            raise ValueError(f"SECRET_KEY is missing. Make one: {GENERATE_KEY_COMMAND}")
        for weak in filter(is_weak, self.secret_keys):
            name = "SECRET_KEY" if weak == key else "One of SECRET_KEY_FALLBACKS"
            raise ValueError(
                f"{name} is a well-known example or shorter than 32 random characters. Make one: {GENERATE_KEY_COMMAND}"
            )
        if self.debug:
            raise ValueError(
                "DEBUG shows secrets to visitors. Set DEBUG=false in production, and ENVIRONMENT=development elsewhere."
            )
        return self

    @property
    def secret_keys(self) -> list[str]:
        """The current key, followed by older keys whose signatures are still valid."""
        older_keys = self.secret_key_fallbacks.get_secret_value().split(",")
        return [self.secret_key.get_secret_value(), *(key.strip() for key in older_keys if key.strip())]

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

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


def load_settings(**values: Any) -> Settings:
    """Read the site's settings.

    Args:
        values: Values that replace those of the environment and of `.env`.

    Raises:
        SettingsError: A setting is invalid. The message names it and does not show its value.
    """
    class_: type[Settings] = settings_class()
    if missing := sorted(Settings.model_fields.keys() - getattr(class_, "model_fields", {}).keys()):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise SettingsError(
            f"{PACKAGE}/settings.py: Settings lacks {', '.join(map(str.upper, missing[:3]))}{more}. "
            "Begin it with class Settings(opportune.config.Settings):"
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


def _refuse_renamed(sources: Sequence[PydanticBaseSettingsSource]) -> None:
    for name, advice in RENAMED_SETTINGS.items():
        env_sources = (source for source in sources if isinstance(source, EnvSettingsSource))
        if any(source.get_field_value(FieldInfo(), name)[0] is not None for source in env_sources):
            raise SettingsError(f"{name.upper()} {advice}")


_override: ContextVar[Settings | None] = ContextVar("settings_override", default=None)
_of_process: list[Settings] = []
"""Settings that an existing application passes to `opportune.mount`."""


def get_settings() -> Settings:
    """Return the settings of this process. They are read once."""
    return _override.get() or (_of_process[-1] if _of_process else _read_once())


def set_settings(settings: Settings) -> None:
    """Let `get_settings` return these settings from now on."""
    _of_process.append(settings)


@contextmanager
def using_settings(settings: Settings) -> Iterator[None]:
    """Let `get_settings` return these settings in the block, in this thread or task."""
    token = _override.set(settings)
    try:
        yield
    finally:
        _override.reset(token)


def clear_settings_cache() -> None:
    """Clear the cached settings, so that they are read again."""
    _read_once.cache_clear()


@lru_cache
def _read_once() -> Settings:
    return load_settings()
