"""Every setting, typed. Values come from the environment, then from `SECRETS_FROM`, then from `.env` in the project.

The site has one class of them, `Settings`, and each feature may have one of its own: `settings.of(BooksSettings)`.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pydantic_settings
from pydantic import Field, PrivateAttr, SecretStr, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    EnvSettingsSource,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from opportune.config.env_lines import unreadable_line
from opportune.config.host_names import ascii_host
from opportune.config.hosts import base_url_from_host, client_address_header_from_host, is_on_host
from opportune.config.llm_models import EmbeddingModel, EndpointUrl, LlmModel, problem_of
from opportune.config.project import PACKAGE, PROJECT, installed_features, settings_class
from opportune.config.public_keys import parse_public_keys
from opportune.errors import SettingsError

if TYPE_CHECKING:
    from opportune.feature import Feature

# Keys that were published somewhere, whatever their length: production refuses them.
EXAMPLE_SECRET_KEYS = {"secret", "changeme", "change-me", "changethis", "dev_secret_key_change_in_production"}
MIN_SECRET_KEY_LENGTH = 32
MIN_METRICS_TOKEN_LENGTH = 20
DEFAULT_MAX_UPLOAD_BYTES = 10_000_000
HOST_PATTERN = re.compile(r"\*|(\*\.)?[^*/:]+|\[.+\]")
"""What a request can be for, without scheme, port or path; the last is an IPv6 address."""
ORIGIN_PATTERN = re.compile(r"\*|https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(?::\d{1,5})?")
"""What a browser sends as `Origin`: in small letters, without a path."""
GENERATE_KEY_COMMAND = "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"

RENAMED_SETTINGS = {
    "staff_needs_two_factor": "is now NEEDS_SECOND_FACTOR: write NEEDS_SECOND_FACTOR=staff instead, or =none for false."
}
"""Former settings. The site does not start with one, because ignoring it could weaken the site."""
FILE_OWNER_HINT = "Run this as the user whose file it is, or give the file to this user (chown)."
MESSAGES = {"bool_parsing": "Write true or false.", "int_parsing": "Write a whole number."}
"""What Pydantic says at more length."""

SOCIAL_PROVIDERS = ("google", "github", "microsoft", "oidc")
"""Who else may vouch for people: the first word of their settings."""


def default_environment() -> Literal["development", "production"]:
    """Production on a known host: a forgotten variable must not open a development server to the internet."""
    return "production" if is_on_host() else "development"


def is_weak(key: str) -> bool:
    return key.lower() in EXAMPLE_SECRET_KEYS or len(key) < MIN_SECRET_KEY_LENGTH or len(set(key)) < 8


def setting_is_given(value: str | SecretStr) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


S = TypeVar("S", bound="BaseSettings")


class BaseSettings(pydantic_settings.BaseSettings):
    """What a feature's own settings subclass: an attribute each, with the name of its variable in small letters.

        class BooksSettings(BaseSettings):
            books_per_page: int = 20

    `Feature(settings=BooksSettings)` has them read at the start with the site's, and shown in `.env.example`.
    """

    model_config = SettingsConfigDict(
        env_file=PROJECT / ".env", env_file_encoding="utf-8", extra="ignore", frozen=True, defer_build=True
    )

    secrets_from: str = ""
    """aws:NAME reads more settings from AWS Secrets Manager (docs/deploy.md); the environment wins over them."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, the environment, the secrets that any of them asks for, `.env`: the first to know wins."""
        del file_secret_settings  # reads a folder that we do not have
        usual = init_settings, env_settings, dotenv_settings
        # Of this one alone: to read all of them here, too, would take as long again.
        found = (
            source.get_field_value(settings_cls.model_fields["secrets_from"], "secrets_from")[0] for source in usual
        )
        asked = [value for value in (init_settings().get("secrets_from"), *found) if value is not None]
        if not any(asked[:1]):
            return usual
        from opportune.config.aws_secrets import settings_in  # noqa: PLC0415 - most sites have none

        return (
            init_settings,
            env_settings,
            InitSettingsSource(settings_cls, settings_in(asked[0], settings_cls.model_fields, setting_names)),
            dotenv_settings,
        )


class Settings(BaseSettings):
    """One attribute per setting. `.env.example` shows the same list with the same words."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[pydantic_settings.BaseSettings], *sources: Any, **named_sources: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Refuse former settings in the environment and in `.env`."""
        _refuse_renamed((*sources, *named_sources.values()))
        return super().settings_customise_sources(settings_cls, *sources, **named_sources)

    site_name: str = "Opportune"
    """What pages, e-mails, the admin and the API call this site."""
    time_zone: str = "UTC"
    """Where the site's clock is (Europe/Vienna). Who looks at a page sees times as they are where their browser is."""
    environment: Literal["development", "test", "production"] = Field(default_factory=default_environment)
    """development, test or production. Production refuses unsafe values."""
    debug: bool = False
    """Show tracebacks in the browser. Refused in production."""
    secret_key: SecretStr = SecretStr("")
    """Signs tokens: 32 characters or more. `python3 oppman.py quickstart` writes a random one."""
    secret_key_fallbacks: SecretStr = SecretStr("")
    """Older secret keys, with commas: what they signed still counts. Take them out after a month."""
    host: str = ""
    """Address to listen on. Empty: 0.0.0.0 in production, for the host's proxy; else 127.0.0.1, for you alone."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; most hosts set it."""
    local_https: bool = False
    """Serve HTTPS on your own machine, with a certificate made on the spot (runserver --https)."""
    stop_delay_seconds: float = Field(default=0, ge=0, le=60)
    """Seconds to go on after SIGTERM, while /health/ready says 503 (docs/zero-downtime.md)."""
    max_http_connections: int = Field(default=1000, ge=1)
    """Connections each process keeps open; a stream is one. Beyond them it answers 503, and health checks as ever."""
    base_url: str = Field(default_factory=base_url_from_host)
    """Public address (https://example.org). Forms from elsewhere are refused. Empty: what host or request tell."""
    allowed_hosts: Annotated[list[str], NoDecode] = []
    """Host names to answer to, with commas (*.example.org allowed). Empty: the one of BASE_URL, or any."""
    cors_origins: Annotated[list[str], NoDecode] = []
    """Origins, with commas, whose pages may call /api from a browser (https://app.example.org); *: all of them."""
    trusted_proxies: str = ""
    """Addresses and networks (with commas) of proxies whose X-Forwarded-* headers are believed; *: whoever connects."""
    client_address_header: str = Field(default_factory=client_address_header_from_host)
    """Header in which the host's proxy tells a visitor's address. Empty: what the host has, else X-Forwarded-For."""

    admin_email: str = ""
    """Who gets the link that sets up the first superuser. It is in the log, too. Empty: there alone."""
    needs_second_factor: Literal["staff", "all", "none"] = "none"
    """Who has to set up an authenticator app or a passkey: staff, to enter the admin; all, to use their account."""

    registration: Literal["open", "invited", "closed"] = "open"
    """Who may register: open, everybody; invited, addresses with an invitation to a team; closed, nobody."""
    min_password_length: int = Field(default=8, ge=8, le=64)
    """Least number of characters of a new password. 15 is recommended where no second factor is needed."""
    breached_passwords_url: EndpointUrl = ""
    """Refuse passwords that are known from data breaches: https://api.pwnedpasswords.com/range (docs/accounts.md)."""

    bearer: Literal["token", "jwt"] = "token"
    """What signing in gives programs: a token (a row), or a JWT of JWT_MINUTES with a token to refresh it."""
    jwt_minutes: int = Field(default=15, ge=1, le=60)
    """Minutes that a JWT is good for."""

    session_days: int = Field(default=30, ge=1)
    """Days after which whoever is remembered signs in again; nobody stays signed in for longer."""
    session_idle_hours: int = Field(default=24, ge=1)
    """Hours without a visit after which whoever is not remembered signs in again."""

    account_event_days: int = Field(default=90, ge=1)
    """Days for which people see what happened to their account, with the addresses that it was done from."""

    email_sign_in: bool = True
    """Offer to sign in by an e-mail with a link and a code, where mail is sent."""

    google_client_id: str = ""
    """Sign-in with Google: the id that Google has given to this site (docs/accounts.md). Empty: no such button."""
    google_client_secret: SecretStr = SecretStr("")
    """The secret that goes with it."""
    github_client_id: str = ""
    """The same with GitHub."""
    github_client_secret: SecretStr = SecretStr("")
    """The secret that goes with it."""
    microsoft_client_id: str = ""
    """The same with Microsoft."""
    microsoft_client_secret: SecretStr = SecretStr("")
    """The secret that goes with it."""
    oidc_client_id: str = ""
    """The same with any OpenID Connect provider, such as Keycloak, Authentik, Okta, Auth0 or GitLab."""
    oidc_client_secret: SecretStr = SecretStr("")
    """The secret that goes with it."""
    oidc_url: str = ""
    """That provider's address (https://id.example.org/realms/staff), with or without its discovery document's path."""
    oidc_label: str = "Single sign-on"
    """What that provider is called on the buttons."""

    database_url: SecretStr = SecretStr("sqlite:///./data/app.db")
    """sqlite:///file or postgresql://user:password@host/name, as your provider shows it."""
    database_reader_url: SecretStr = SecretStr("")
    """A PostgreSQL replica for what is only read. Empty: DATABASE_URL."""
    database_direct_url: SecretStr = SecretStr("")
    """The same PostgreSQL without its pooler, for migrations. Empty: what the host tells, else DATABASE_URL."""
    database_pooled: Literal["auto", "true", "false"] = "auto"
    """Is there a pooler such as PgBouncer in front? With true or auto no statement is prepared."""
    database_pool_size: int = Field(default=5, ge=1)
    """Connections each process keeps open."""
    database_max_overflow: int = Field(default=5, ge=0)
    """Connections each process may open beyond those."""
    database_pool_timeout: float = Field(default=5, gt=0)
    """Seconds a request waits for a connection before it is answered 503."""
    database_statement_timeout: float = Field(default=30, gt=0)
    """Seconds a statement may take on PostgreSQL while the server lives. One that is silent is given up after 4."""
    database_echo: bool = False
    """Log each SQL statement, without the values that go with it."""

    llm_base_url: EndpointUrl = Field(default="", repr=False)
    """An OpenAI-compatible endpoint (https://openrouter.ai/api/v1, http://127.0.0.1:11434/v1). Empty: local model."""
    llm_api_key: SecretStr = SecretStr("")
    """The key for that endpoint."""
    llm_model: str = ""
    """The model's name at that endpoint."""
    llm_models: Annotated[list[LlmModel], NoDecode] = []
    """Several models, the first for whoever chooses none: a list in app/settings.py, or JSON (docs/llm.md)."""
    embedding_model: Annotated[EmbeddingModel | None, NoDecode] = None
    """Search by meaning: a model for embeddings at LLM_BASE_URL (text-embedding-3-small), or JSON (docs/search.md)."""
    llm_retries: int = Field(default=2, ge=0, le=10)
    """How often an endpoint that does not begin to answer is asked again, before the model's fallback is."""
    llm_connect_timeout: float = Field(default=10, gt=0)
    """Seconds to wait for a connection to the endpoint."""
    llm_first_byte_timeout: float = Field(default=60, gt=0)
    """Seconds to wait for the first piece of an answer."""
    llm_idle_timeout: float = Field(default=60, gt=0)
    """Seconds to wait between two pieces of an answer."""
    llm_timeout: float = Field(default=600, gt=0)
    """Seconds that a whole answer may take."""
    llm_max_parallel: int = Field(default=100, ge=1)
    """Answers that a process has written at the same time; whoever asks then waits."""

    mail_url: SecretStr = SecretStr("console:")
    """console: shows mail in the log, file:./data/mail keeps it, smtp://user:password@host:587 or resend://KEY send."""
    mail_from: str = ""
    """Who mail comes from (Site <site@example.org>). Empty: the address of BASE_URL's host."""
    storage_url: SecretStr = SecretStr("file:./data/uploads")
    """Where uploaded files are kept: file:folder, s3://key:secret@host/bucket?region=name, or database:."""
    max_upload_bytes: int = Field(default=DEFAULT_MAX_UPLOAD_BYTES, ge=1_000)
    """Bytes that an uploaded file may have. Pictures are read into memory, so allow only what the machine has."""
    backup_url: SecretStr = SecretStr("")
    """Where backups go by themselves: s3://key:secret@host/bucket/folder, or file:folder. Empty: none do."""
    backup_schedule: str = "30 3 * * *"
    """When, as a cron expression in UTC."""
    backup_keep: str = "7 daily, 4 weekly, 6 monthly"
    """Which stay: the newest of so many days, weeks, months (also hourly, yearly); those of the last day always."""
    backup_recipient: str = ""
    """Public keys of age (age1…, with commas) to encrypt backups at BACKUP_URL to. The site cannot read them."""
    backup_identity: SecretStr = SecretStr("")
    """Private key for `restore` (AGE-SECRET-KEY-1…). Set it where you restore, not on the server."""
    backup_passphrase: SecretStr = SecretStr("")
    """Encrypts backups at BACKUP_URL, in the format of age. Without it nobody can read them, and neither can you."""
    backup_bucket_uploads: bool = True
    """Whether backups at BACKUP_URL hold the uploads of a bucket, too. false: where there are many."""
    backup_rehearsal_schedule: str = "30 4 * * 0"
    """When the newest one is restored into a database that is thrown away, to see that it can be. Empty: never."""
    cache_url: SecretStr = SecretStr("memory:")
    """Where finished pages are kept: memory: for each process, redis://host:6379/0 for all of them."""
    speedups: Literal["on", "off"] = "on"
    """off: no private parts of libraries, which a newer release might break; the site is slower (docs/speedups.md)."""
    jobs: Literal["inline", "worker", "request", "off"] = "inline"
    """Who does the jobs: inline, this process; worker, `oppman.py worker`; request, this process while it answers
    requests, for hosts on which nothing runs in between; off, nobody for now, and they wait."""
    jobs_call_minutes: int = Field(default=5, ge=0, le=24 * 60)
    """Minutes between two calls of the cron service that JOBS=request needs; 0: there is none. For `check` alone."""
    log_format: Literal["text", "json"] = "text"
    """text for people, json for log collectors."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is logged; a line for each request is info, for health checks and static files debug."""
    heartbeat_url: SecretStr = SecretStr("")
    """Called while jobs and schedules go well (https://hc-ping.com/…): who gets no call any more raises the alarm."""
    heartbeat_schedule: str = "*/5 * * * *"
    """When, as a cron expression in UTC."""
    otel_exporter_otlp_endpoint: EndpointUrl = ""
    """An OpenTelemetry collector (http://127.0.0.1:4318) for traces and metrics. Its own OTEL_… say the rest."""
    sentry_dsn: SecretStr = SecretStr("")
    """Where errors go: a project's DSN at Sentry, or at what speaks like it."""
    metrics_token: SecretStr = SecretStr("")
    """Lets Prometheus read /metrics, as its bearer token: 20 characters or more. Empty: there is no such address."""

    _of_features: dict[type[BaseSettings], BaseSettings] = PrivateAttr(default_factory=dict)

    def of(self, kind: type[S]) -> S:
        """A feature's own settings, read once: `settings.of(BooksSettings).books_per_page`.

        Raises:
            SettingsError: as `load_settings`.
        """
        if isinstance(self, kind):
            return self
        if kind not in self._of_features:
            self._of_features[kind] = load_kind(kind, _env_file=settings_class().model_config.get("env_file"))
        found = self._of_features[kind]
        assert isinstance(found, kind)
        return found

    def having(self, *given: BaseSettings) -> Self:
        """The same with these in place of what features would read, for tests."""
        changed = self.model_copy()
        changed._of_features = {**self._of_features, **{type(each): each for each in given}}
        return changed

    @field_validator("allowed_hosts", "cors_origins", mode="before")
    @classmethod
    def _split_by_commas(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: list[str]) -> list[str]:
        # As in Django, .example.org is that host and all below it.
        given = [host for name in value for host in ((name[1:], f"*{name}") if name.startswith(".") else (name,))]
        names = [ascii_host(name) for name in given]
        if not all(HOST_PATTERN.fullmatch(name) for name in names):
            raise ValueError("must be hosts such as example.org, or *.example.org for all below it")
        return names

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        origins = [origin.rstrip("/").lower() for origin in value]
        if not all(ORIGIN_PATTERN.fullmatch(origin) for origin in origins):
            raise ValueError("must be origins without a path, such as https://app.example.org, or *")
        return origins

    @field_validator("site_name")
    @classmethod
    def _is_a_line(cls, value: str) -> str:
        if not (value.strip() and value.isprintable()):
            raise ValueError("must be one line with a name in it")
        return value.strip()

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        if value == "UTC":  # the zones of others are files
            return value
        try:
            return str(ZoneInfo(value))
        except (LookupError, OSError, ValueError):
            raise ValueError("must be the name of a time zone, such as Europe/Vienna") from None

    @field_validator("base_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        is_address = parts.scheme in ("http", "https") and parts.hostname and " " not in parts.netloc
        if not is_address or parts.path.strip("/") or parts.query:
            raise ValueError("must be an address without a path, such as https://example.org")
        if not (host := ascii_host(parts.netloc)):
            raise ValueError("has a host that there cannot be")
        return value.replace(parts.netloc, host, 1).rstrip("/")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        try:
            for name in filter(None, map(str.strip, value.split(","))):
                if name != "*":
                    ip_network(name)
        except ValueError:
            raise ValueError("must be addresses or networks, such as 127.0.0.1,10.0.0.0/8, or *") from None
        return value

    @field_validator("llm_models", mode="before")
    @classmethod
    def _is_a_table(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return TypeAdapter(list[Any]).validate_json(value or "[]")
        except ValidationError:
            raise ValueError('must be a JSON list such as [{"name": "Fast", "model": "openai/gpt-5-mini"}]') from None

    @field_validator("embedding_model", mode="before")
    @classmethod
    def _is_a_name_or_more(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not value.lstrip().startswith("{"):
            return {"name": value.strip()} if value.strip() else None
        try:
            return TypeAdapter(dict[str, Any]).validate_json(value)
        except ValidationError:
            raise ValueError('must be a name, or JSON such as {"name": "nomic-embed-text"}') from None

    @model_validator(mode="after")
    def _has_whole_models(self) -> Self:
        if problem := problem_of(self.llm_models):
            raise ValueError(f"LLM_MODELS: {problem}")
        named = [("LLM_MODELS", each) for each in self.llm_models]
        for setting, model in [*named, *([("EMBEDDING_MODEL", self.embedding_model)] if self.embedding_model else [])]:
            if model.api_key_setting and not isinstance(getattr(self, model.api_key_setting, None), SecretStr):
                raise ValueError(
                    f"{setting}: there is no setting {model.api_key_setting} with the key of {model.name}: "
                    f'in {PACKAGE}/settings.py write {model.api_key_setting}: SecretStr = SecretStr("")'
                )
            if not (model.base_url or model.provider or self.llm_base_url):
                raise ValueError(f"{setting}: {model.name} needs a base_url, or set LLM_BASE_URL for all of them")
        return self

    @field_validator("log_level", mode="before")
    @classmethod
    def _is_a_level(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("backup_recipient")
    @classmethod
    def _are_public_keys(cls, value: str) -> str:
        if value.strip():  # pyrage is imported only where it is used
            parse_public_keys(value)
        return value

    @field_validator("heartbeat_url")
    @classmethod
    def _is_an_address(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("must be an address such as https://hc-ping.com/…")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        if token and (len(token) < MIN_METRICS_TOKEN_LENGTH or not (token.isascii() and token.isprintable())):
            raise ValueError(f"must be 20 characters or more, of ASCII alone. Make one: {GENERATE_KEY_COMMAND}")
        return value

    @field_validator("oidc_url")
    @classmethod
    def _is_a_provider(cls, value: str) -> str:
        parts = urlsplit(value)
        is_near = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value and not (parts.hostname and (parts.scheme == "https" or is_near)):
            raise ValueError("must be an address such as https://id.example.org, with https")
        return value

    @model_validator(mode="after")
    def _has_whole_providers(self) -> Self:
        for name in SOCIAL_PROVIDERS:
            parts = [f"{name}_client_id", f"{name}_client_secret", *(["oidc_url"] if name == "oidc" else [])]
            missing = [part.upper() for part in parts if not setting_is_given(getattr(self, part))]
            if missing and len(missing) < len(parts):
                raise ValueError(f"{missing[0]} is missing: sign-in by {name} needs {', '.join(map(str.upper, parts))}")
        return self

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        key = self.secret_key.get_secret_value()
        if not self.is_production:
            if not key:
                # A key for this process alone: good enough to try the site, useless to a thief.
                object.__setattr__(self, "secret_key", SecretStr(secrets.token_urlsafe(48)))
            return self
        if not key:
            raise ValueError(f"SECRET_KEY is missing. Make one: {GENERATE_KEY_COMMAND}")
        for weak in filter(is_weak, self.secret_keys):
            name = "SECRET_KEY" if weak == key else "One of SECRET_KEY_FALLBACKS"
            raise ValueError(
                f"{name} is known or shorter than 32 random characters. Make a new one: {GENERATE_KEY_COMMAND}"
            )
        if self.debug:
            raise ValueError(
                "DEBUG shows secrets to visitors. Set DEBUG=false, or ENVIRONMENT=development on your own machine."
            )
        return self

    @property
    def secret_keys(self) -> list[str]:
        """The key that signs, and after it those whose signatures still count."""
        older = self.secret_key_fallbacks.get_secret_value().split(",")
        return [self.secret_key.get_secret_value(), *(key.strip() for key in older if key.strip())]

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @property
    def has_secure_cookies(self) -> bool:
        """Whether browsers come by TLS, and are to send cookies by nothing else."""
        return self.is_production or self.local_https

    @property
    def hosts(self) -> list[str]:
        """Host names to answer to; empty means any."""
        if self.allowed_hosts:
            return self.allowed_hosts
        name = urlsplit(self.base_url).hostname
        return [name] if name else []


def load_settings(**given: Any) -> Settings:
    """Read the site's settings; what is given wins over environment and file.

    Raises:
        SettingsError: with one line that names the settings at fault and never shows their values.
    """
    kind = settings_class()
    if missing := sorted(Settings.model_fields.keys() - getattr(kind, "model_fields", {}).keys()):
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise SettingsError(
            f"{PACKAGE}/settings.py: Settings lacks {', '.join(map(str.upper, missing[:3]))}{more}. "
            "Begin it with class Settings(opportune.config.Settings):"
        )
    return load_kind(kind, **given)


def read_feature_settings(settings: Settings, features: "Sequence[Feature]") -> None:
    """Have what is wrong with them said at the start.

    Raises:
        SettingsError: as `load_settings`, or two classes read one variable.
    """
    seen = dict.fromkeys(type(settings).model_fields, "the site")
    for feature in features:
        if feature.settings:
            for name in feature.settings.model_fields.keys() - BaseSettings.model_fields.keys():
                if name in seen:
                    raise SettingsError(
                        f"{name.upper()} is a setting of {seen[name]} and of {feature.name}: rename one."
                    )
                seen[name] = feature.name
            settings.of(feature.settings)


def settings_classes() -> "list[type[BaseSettings]]":
    """The project's class, then those of its features."""
    return [settings_class(), *(feature.settings for feature in installed_features() if feature.settings)]


def setting_names() -> list[str]:
    """Every variable that is read, in the order of `.env.example`."""
    return list(dict.fromkeys(name.upper() for kind in settings_classes() for name in kind.model_fields))


def load_kind(kind: type[S], **given: Any) -> S:
    """Read one class of settings, of the site or a feature.

    Raises:
        SettingsError: as `load_settings`.
    """
    try:
        _refuse_unreadable_lines(given.get("_env_file", kind.model_config.get("env_file")))
        return kind(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(map(_in_words, error.errors()))) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{PROJECT / '.env'} is no text in UTF-8: save it as such.") from None
    except PermissionError:
        raise SettingsError(f"{PROJECT / '.env'} may not be read by this user. {FILE_OWNER_HINT}") from None
    except OSError as error:
        raise SettingsError(f"{PROJECT / '.env'} cannot be read: {error.strerror or error}.") from None


def _refuse_unreadable_lines(file: object) -> None:
    if not (isinstance(file, Path) and file.is_file()):
        return
    if fault := unreadable_line(file.read_text(encoding="utf-8")):
        raise SettingsError(f"{file}: {fault}")


def _refuse_renamed(sources: Sequence[PydanticBaseSettingsSource]) -> None:
    for name, advice in RENAMED_SETTINGS.items():
        read = (source for source in sources if isinstance(source, EnvSettingsSource))
        if any(source.get_field_value(FieldInfo(), name)[0] is not None for source in read):
            raise SettingsError(f"{name.upper()} {advice}")


def _in_words(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else ""
    if error["type"] == "missing" and len(error["loc"]) == 1:
        return f"{name} has no value: give it one in the environment or in .env."
    message = MESSAGES.get(error["type"], error["msg"].removeprefix("Value error, "))
    if inside := [f"entry {part + 1}" if isinstance(part, int) else str(part) for part in error["loc"][1:]]:
        message = f"{', '.join(inside)}: {message}"
    return f"{name}: {message}" if name and not message.startswith(name) else message


_given: ContextVar[Settings | None] = ContextVar("given_settings", default=None)


def get_settings() -> Settings:
    """The settings of this process, read once; inside `using_settings` those that it was given."""
    return _given.get() or _read_once()


@contextmanager
def using_settings(settings: Settings) -> Iterator[None]:
    """Let `get_settings` give these to whatever the block calls, in this thread or task."""
    token = _given.set(settings)
    try:
        yield
    finally:
        _given.reset(token)


def forget_settings() -> None:
    """Have them read again."""
    _read_once.cache_clear()


@lru_cache
def _read_once() -> Settings:
    return load_settings()
