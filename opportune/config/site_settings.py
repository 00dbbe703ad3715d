"""Fields of the site's settings, with their defaults and descriptions."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import NoDecode

from opportune.config.base_settings import BaseSettings
from opportune.config.hosts import base_url_from_host, client_address_header_from_host, is_on_host
from opportune.config.llm_models import Dialect, EmbeddingModel, EndpointUrl, LlmModel

DEFAULT_MAX_UPLOAD_BYTES = 10_000_000
SOCIAL_PROVIDERS = ("google", "github", "microsoft", "oidc")
"""Sign-in providers. The names of their settings begin with these words."""


def default_environment() -> Literal["development", "production"]:
    """Return production on a known host, so that a forgotten variable does not expose a development server."""
    return "production" if is_on_host() else "development"


class SiteSettings(BaseSettings):
    """One attribute per setting. `env --all` shows the same list with the same descriptions."""

    site_name: str = "Opportune"
    """Name of the site on pages, in e-mails, in the admin and in the API."""
    site_description: str = ""
    """One sentence about the site, for the landing page and search engines."""
    time_zone: str = "UTC"
    """Time zone of the site (Europe/Vienna). Pages show times in the time zone of the visitor's browser."""
    language: str = "en"
    """Language of the site for visitors whose browsers ask for none of LANGUAGES (oppman.py docs translations)."""
    languages: Annotated[list[str], NoDecode] = []
    """Languages that visitors can choose, separated by commas (en,de,ar). Empty: only LANGUAGE."""
    language_in_url: bool = False
    """Put the language into addresses (/de/books). LANGUAGE has no prefix (oppman.py docs translations)."""
    layout: Literal["top", "side"] = "top"
    """Place of the menu on wide screens: above the page, or beside it."""
    environment: Literal["development", "test", "production"] = Field(default_factory=default_environment)
    """development, test or production. Production refuses unsafe values."""
    debug: bool = False
    """Show tracebacks and a request panel in the browser (oppman.py docs request-panel). Refused in production."""
    secret_key: SecretStr = SecretStr("")
    """Key for signatures, 32 characters or more. `python3 oppman.py quickstart` writes a random one."""
    secret_key_fallbacks: SecretStr = SecretStr("")
    """Older secret keys, separated by commas. Their signatures are still accepted. Remove them after a month."""
    host: str = ""
    """Address to listen on. Empty: 0.0.0.0 in production, else 127.0.0.1, which only this machine can reach."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on. Most hosts set it."""
    local_https: bool = False
    """Serve HTTPS on your machine with a generated certificate (runserver --https)."""
    stop_delay_seconds: float = Field(default=0, ge=0, le=60)
    """Seconds to keep serving after SIGTERM, while /health/ready returns 503 (oppman.py docs zero-downtime)."""
    answer_grace_seconds: float | None = Field(default=None, ge=0)
    """Seconds for answers to end after SIGTERM; then another process continues. Default: the host's time minus 2."""
    max_http_connections: int = Field(default=1000, ge=1)
    """Maximum open connections of a process, streams included. More get 503; health checks still work."""
    base_url: str = Field(default_factory=base_url_from_host)
    """Public address (https://example.org). Forms from other sites are refused. Empty: taken from host or request."""
    allowed_hosts: Annotated[list[str], NoDecode] = []
    """Accepted host names, separated by commas (*.example.org allowed). Empty: the host of BASE_URL, or any."""
    cors_origins: Annotated[list[str], NoDecode] = []
    """Origins whose pages may call /api, separated by commas (https://app.example.org). *: all origins."""
    trusted_proxies: str = ""
    """Addresses and networks of proxies whose X-Forwarded-* headers are trusted, separated by commas. *: any."""
    client_address_header: str = Field(default_factory=client_address_header_from_host)
    """Header with the visitor's address. Empty: the known header of the host, else X-Forwarded-For."""

    admin_email: str = ""
    """Receives the link that sets up the first superuser. The link is also logged. Empty: it is only logged."""
    needs_second_factor: Literal["staff", "all", "none"] = "none"
    """Users who must set up an authenticator app or a passkey: staff for the admin, all for their account, or none."""

    registration: Literal["open", "invited", "closed"] = "open"
    """Registration is open to all, or to e-mail addresses that are invited to a team, or closed."""
    min_password_length: int = Field(default=8, ge=8, le=64)
    """Minimum length of a new password. 15 is recommended without a second factor."""
    breached_passwords_url: EndpointUrl = ""
    """Refuse passwords from data breaches: https://api.pwnedpasswords.com/range (oppman.py docs accounts)."""

    bearer: Literal["token", "jwt"] = "token"
    """Result of signing in by the API: a stored token, or a JWT for JWT_MINUTES with a refresh token."""
    jwt_minutes: int = Field(default=15, ge=1, le=60)
    """Lifetime of a JWT in minutes."""

    session_days: int = Field(default=30, ge=1, le=36_500)
    """Lifetime of a session in days, with "remember me"."""
    session_idle_hours: int = Field(default=24, ge=1, le=876_000)
    """Hours without a visit until a session ends, without "remember me"."""

    account_event_days: int = Field(default=90, ge=0, le=36_500)
    """Days to keep the events of an account, with their network addresses, for the user to see. 0 keeps them."""
    audit_days: int = Field(default=730, ge=0, le=36_500)
    """Days to keep the entries of the admin's log. 0 keeps them."""

    email_sign_in: bool = True
    """Offer to sign in with a link and a code by e-mail. Needs a MAIL_URL that sends."""

    google_client_id: str = ""
    """Sign-in with Google: the client id of this site (oppman.py docs accounts). Empty: off."""
    google_client_secret: SecretStr = SecretStr("")
    """Client secret for Google."""
    github_client_id: str = ""
    """Sign-in with GitHub: the client id."""
    github_client_secret: SecretStr = SecretStr("")
    """Client secret for GitHub."""
    microsoft_client_id: str = ""
    """Sign-in with Microsoft: the client id."""
    microsoft_client_secret: SecretStr = SecretStr("")
    """Client secret for Microsoft."""
    oidc_client_id: str = ""
    """Sign-in with any OpenID Connect provider, such as Keycloak, Authentik, Okta, Auth0 or GitLab: the client id."""
    oidc_client_secret: SecretStr = SecretStr("")
    """Client secret for the OpenID Connect provider."""
    oidc_url: str = ""
    """Address of that provider (https://id.example.org/realms/staff), or of its discovery document."""
    oidc_label: str = "Single sign-on"
    """Name of that provider on buttons."""

    database_url: SecretStr = SecretStr("sqlite:///./data/app.db")
    """sqlite:///file, or postgresql://user:password@host/name as your provider shows it."""
    database_reader_url: SecretStr = SecretStr("")
    """PostgreSQL replicas for reading, separated by spaces. Add ?weight=2 to one for twice the reads. Empty:
    DATABASE_URL."""
    database_replica_lag: float = Field(default=5, gt=0)
    """Seconds that a replica may lag behind. Until it has caught up, other replicas or DATABASE_URL are read."""
    database_direct_url: SecretStr = SecretStr("")
    """The same PostgreSQL without its pooler, for migrations. Empty: taken from the host, else DATABASE_URL."""
    database_pooled: Literal["auto", "true", "false"] = "auto"
    """Whether PostgreSQL is behind a pooler such as PgBouncer. With true or auto, no statement is prepared."""
    database_pool_size: int = Field(default=5, ge=1)
    """Connections that each process keeps open."""
    database_max_overflow: int = Field(default=5, ge=0)
    """Connections that each process may open in addition."""
    processes: int = Field(default=1, ge=1)
    """Number of processes of the site, web and worker, on all machines. DATABASE_CONNECTIONS is divided by it."""
    database_connections: int = Field(default=0, ge=0)
    """Connections of the whole site to PostgreSQL, divided by PROCESSES. 0: DATABASE_POOL_SIZE and
    DATABASE_MAX_OVERFLOW apply to each process."""
    database_pool_timeout: float = Field(default=5, gt=0)
    """Seconds that a request waits for a connection before it gets 503."""
    database_statement_timeout: float = Field(default=30, gt=0)
    """Maximum seconds of a statement on PostgreSQL. A server that stops responding is given up after 4 seconds."""
    database_echo: bool = False
    """Log each SQL statement, without its parameters."""

    llm_base_url: EndpointUrl = Field(default="", repr=False)
    """An OpenAI-compatible endpoint (https://openrouter.ai/api/v1, http://127.0.0.1:11434/v1). Empty: local model."""
    llm_dialect: Dialect = "openai"
    """Protocol of that endpoint: openai, openai-responses, anthropic, google or bedrock (oppman.py docs llm)."""
    llm_api_key: SecretStr = SecretStr("")
    """The key for that endpoint."""
    llm_model: str = ""
    """Name of the model at that endpoint."""
    llm_models: Annotated[list[LlmModel], NoDecode] = []
    """Several models, the first being the default: a list in app/settings.py, or JSON (oppman.py docs llm)."""
    embedding_model: Annotated[EmbeddingModel | None, NoDecode] = None
    """Search by meaning: a model at LLM_BASE_URL (text-embedding-3-small), or JSON (oppman.py docs search)."""
    llm_retries: int = Field(default=2, ge=0, le=10)
    """Retries of an endpoint that does not respond, before the model's fallback is used."""
    llm_connect_timeout: float = Field(default=10, gt=0)
    """Seconds to wait for a connection to the endpoint."""
    llm_first_byte_timeout: float = Field(default=60, gt=0)
    """Seconds to wait for the first chunk of an answer."""
    llm_idle_timeout: float = Field(default=60, gt=0)
    """Seconds to wait between two chunks of an answer."""
    llm_timeout: float = Field(default=600, gt=0)
    """Maximum seconds of a whole answer."""
    llm_answers_in_visitor_language: bool = True
    """Ask models to answer in the language of the visitor, if it is not English."""
    llm_max_parallel: int = Field(default=100, ge=1)
    """Maximum number of answers that a process streams at the same time. More questions wait."""

    mail_url: SecretStr = SecretStr("console:")
    """console: logs e-mails, file:./data/mail stores them, smtp://user:password@host:587 or resend://KEY sends them."""
    mail_from: str = ""
    """Sender of e-mails (Site <site@example.org>). Empty: an address at the host of BASE_URL."""
    storage_url: SecretStr = SecretStr("file:./data/uploads")
    """Storage of uploaded files: file:folder, s3://key:secret@host/bucket?region=name, or database:."""
    max_upload_bytes: int = Field(default=DEFAULT_MAX_UPLOAD_BYTES, ge=1_000)
    """Maximum bytes of an uploaded file. Pictures are read into memory."""
    cache_url: SecretStr = SecretStr("memory:")
    """Cache: memory: in each process, redis://host:6379/0 or database: for all processes."""
    bus: Literal["auto", "memory", "redis", "postgresql"] = "auto"
    """How processes notify each other: redis at CACHE_URL, postgresql at DATABASE_DIRECT_URL, memory: not at all. auto:
    redis if CACHE_URL names one, postgresql if JOBS is worker, otherwise memory."""
    speedups: Literal["on", "off"] = "on"
    """off: use public functions of libraries only, which is slower (oppman.py docs speedups)."""
    jobs: Literal["inline", "worker", "request", "off"] = "inline"
    """Process that runs jobs: inline, this one; worker, `oppman.py worker`; request, this one during requests, for
    hosts that run nothing between requests; off, none, so that jobs wait."""
    jobs_limits: Annotated[dict[str, int], NoDecode] = {}
    """Maximum number of running jobs by queue, on all machines: mail=5,*=50 (*: all queues together)."""
    jobs_call_minutes: int = Field(default=5, ge=0, le=24 * 60)
    """Minutes between calls of the cron service that JOBS=request needs, for `check`. 0: no cron service."""
    log_format: Literal["text", "json"] = "text"
    """text for people, json for log collectors."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level to log. Requests are logged as info; health checks and static files as debug."""
