"""Checks and conversions of the site's settings."""

import re
import secrets
import unicodedata
from ipaddress import ip_network
from typing import Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr, ValidationInfo, field_validator, model_validator

from opportune.config.host_names import LOCAL_HOSTS, ascii_host, is_http_url
from opportune.config.languages import find_language
from opportune.config.llm_models import BEDROCK_URL, VENDOR_URLS, LlmModel, find_list_error, read_json_list, read_model
from opportune.config.site_settings import SOCIAL_PROVIDERS, SiteSettings
from opportune.project.layout import PACKAGE

EXAMPLE_SECRET_KEYS = {"secret", "changeme", "change-me", "changethis", "dev_secret_key_change_in_production"}
"""Well-known example keys, which production refuses."""
MIN_SECRET_KEY_LENGTH = 32
MIN_KEY_CHARACTERS = 8
"""Minimum number of different characters in a random key."""
GENERATE_KEY_COMMAND = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
MIN_CONNECTIONS = 3
"""Connections of a process: to read, to write, and to listen."""
HOST_PATTERN = re.compile(r"\*|(\*\.)?[^*/:]+|\[.+\]")
"""Host of a request, without scheme, port and path. The last form is an IPv6 address."""
ORIGIN_PATTERN = re.compile(r"\*|https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""`Origin` header of a browser: lower case, without a path."""


def is_weak(key: str) -> bool:
    """Return whether a secret key is short, monotonous or a well-known example."""
    is_short = len(key) < MIN_SECRET_KEY_LENGTH or len(set(key)) < MIN_KEY_CHARACTERS
    return is_short or key.lower() in EXAMPLE_SECRET_KEYS


def has_value(setting: str | SecretStr) -> bool:
    return bool(setting.get_secret_value() if isinstance(setting, SecretStr) else setting)


def _language_code(value: str) -> str:
    language = find_language(value)
    if language is None:
        raise ValueError(f"{value!r} is not the code of an installed language, such as de or pt-BR")
    return language.code


class ValidatedSettings(SiteSettings):
    """The site's settings with their checks. A message of a ValueError follows the name of its setting."""

    @field_validator("allowed_hosts", "cors_origins", "languages", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return [part.strip() for part in value.split(",") if part.strip()]

    @field_validator("allowed_hosts")
    @classmethod
    def _normalize_hosts(cls, value: list[str]) -> list[str]:
        hosts: list[str] = []
        for name in value:
            # As in Django, .example.org means the host and all its subdomains.
            hosts += [name[1:], f"*{name}"] if name.startswith(".") else [name]
        ascii_hosts = [ascii_host(host) for host in hosts]
        if not all(HOST_PATTERN.fullmatch(host) for host in ascii_hosts):
            raise ValueError("must be hosts such as example.org, or *.example.org for its subdomains")
        return ascii_hosts

    @field_validator("cors_origins")
    @classmethod
    def _normalize_origins(cls, value: list[str]) -> list[str]:
        origins = [origin.rstrip("/").lower() for origin in value]
        if not all(ORIGIN_PATTERN.fullmatch(origin) for origin in origins):
            raise ValueError("must be origins without a path, such as https://app.example.org, or *")
        return origins

    @field_validator("database_connections")
    @classmethod
    def _check_database_connections(cls, value: int, info: ValidationInfo) -> int:
        minimum = MIN_CONNECTIONS * info.data.get("processes", 1)
        if 0 < value < minimum:
            raise ValueError(f"must be at least {minimum}, which is {MIN_CONNECTIONS} for each of PROCESSES")
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
    def _strip_site_name(cls, value: str) -> str:
        # Unlike `isprintable`, this accepts joiners, which Persian and Hindi need, and no-break spaces.
        if not value.strip() or not {"Cc", "Cs", "Zl", "Zp"}.isdisjoint(map(unicodedata.category, value)):
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

    _normalize_language = field_validator("language")(_language_code)

    @field_validator("languages")
    @classmethod
    def _normalize_languages(cls, value: list[str], info: ValidationInfo) -> list[str]:
        codes = [*dict.fromkeys(map(_language_code, value))]
        default = info.data.get("language")  # missing if it is invalid, which is reported separately
        if codes and default and default not in codes:
            raise ValueError(f"must contain LANGUAGE, which is {default}")
        return codes

    @field_validator("base_url")
    @classmethod
    def _normalize_base_url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        is_url = is_http_url(value) and not {*parts.netloc}.intersection(" @\\")
        if not is_url or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be a URL without path, user and query, such as https://example.org")
        if not (host := ascii_host(parts.netloc)):
            raise ValueError("has an invalid host name")
        return parts._replace(netloc=host, path="").geturl()

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        try:
            for name in names:
                if name not in ("", "*"):
                    ip_network(name)
        except ValueError:
            raise ValueError("must be addresses or networks, such as 127.0.0.1,10.0.0.0/8, or *") from None
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_log_level(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("cache_url")
    @classmethod
    def _lower_scheme(cls, value: SecretStr) -> SecretStr:
        scheme, colon, location = value.get_secret_value().strip().partition(":")
        return SecretStr(f"{scheme.lower()}{colon}{location}")

    @field_validator("oidc_url")
    @classmethod
    def _check_oidc_url(cls, value: str) -> str:
        parts = urlsplit(value)
        is_safe = parts.scheme == "https" or parts.hostname in LOCAL_HOSTS
        is_plain = parts.username is None and not parts.fragment and " " not in value
        if value and not (is_http_url(value) and is_safe and is_plain):
            raise ValueError("must be an https address such as https://id.example.org")
        return value

    @model_validator(mode="after")
    def _check_providers(self) -> Self:
        for name in SOCIAL_PROVIDERS:
            required = [f"{name}_client_id", f"{name}_client_secret"]
            if name == "oidc":
                required.append("oidc_url")
            missing = [setting.upper() for setting in required if not has_value(getattr(self, setting))]
            if missing and len(missing) < len(required):
                names = ", ".join(map(str.upper, required))
                raise ValueError(f"{missing[0]} is missing. Sign-in with {name} needs {names}")
        return self

    @model_validator(mode="after")
    def _generate_missing_key(self) -> Self:
        if not (self.is_production or self.secret_key.get_secret_value()):
            # A key for this process. Settings are frozen, so it is assigned without Pydantic.
            object.__setattr__(self, "secret_key", SecretStr(secrets.token_urlsafe(48)))
        return self

    @model_validator(mode="after")
    def _check_production(self) -> Self:
        if not self.is_production:
            return self
        key = self.secret_key.get_secret_value()
        if not key:
            raise ValueError(f"SECRET_KEY is missing. Make one: {GENERATE_KEY_COMMAND}")
        weak_keys = [*filter(is_weak, self.secret_keys)]
        if weak_keys:
            name = "SECRET_KEY" if key in weak_keys else "One of SECRET_KEY_FALLBACKS"
            problem = f"is a well-known example or shorter than {MIN_SECRET_KEY_LENGTH} random characters"
            raise ValueError(f"{name} {problem}. Make one: {GENERATE_KEY_COMMAND}")
        if self.debug:
            raise ValueError(
                "DEBUG shows secrets to visitors. Set DEBUG=false in production, and ENVIRONMENT=development elsewhere."
            )
        return self

    @field_validator("llm_models", mode="before")
    @classmethod
    def _parse_models(cls, value: object) -> object:
        return read_json_list(value, example='{"name": "Fast", "model": "openai/gpt-5-mini"}')

    @field_validator("embedding_model", mode="before")
    @classmethod
    def _parse_embedding_model(cls, value: object) -> object:
        return read_model(value, example="nomic-embed-text")

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        if problem := find_list_error(self.llm_models):
            raise ValueError(f"LLM_MODELS: {problem}")
        for model in self.llm_models:
            self._check_model("LLM_MODELS", model)
        if self.embedding_model:
            self._check_model("EMBEDDING_MODEL", self.embedding_model)
        return self

    def _check_model(self, setting: str, model: LlmModel) -> None:
        if model.api_key_setting and not isinstance(getattr(self, model.api_key_setting, None), SecretStr):
            raise ValueError(
                f"{setting}: there is no setting {model.api_key_setting} with the key of {model.name}: "
                f'in {PACKAGE}/settings.py write {model.api_key_setting}: SecretStr = SecretStr("")'
            )
        if model.dialect == "bedrock" and not model.base_url.startswith("https:"):
            raise ValueError(f"{setting}: {model.name} needs the base_url of a region, {BEDROCK_URL}")
        if not (model.base_url or model.provider or model.dialect in VENDOR_URLS or self.llm_base_url):
            raise ValueError(f"{setting}: {model.name} needs a base_url, or set LLM_BASE_URL for all models")

    @model_validator(mode="after")
    def _check_dialect(self) -> Self:
        if self.llm_dialect != "openai" and not (self.llm_models or self.llm_model):
            raise ValueError(f"LLM_DIALECT={self.llm_dialect} needs LLM_MODEL")
        if self.llm_dialect == "bedrock" and not self.llm_base_url.startswith("https:"):
            raise ValueError(f"LLM_DIALECT=bedrock needs the LLM_BASE_URL of a region, {BEDROCK_URL}")
        return self

    @property
    def secret_keys(self) -> list[str]:
        """The current key, followed by older keys whose signatures are still valid."""
        older_keys = self.secret_key_fallbacks.get_secret_value().split(",")
        return [self.secret_key.get_secret_value(), *(key.strip() for key in older_keys if key.strip())]

    @property
    def is_production(self) -> bool:
        return self.environment == "production"
