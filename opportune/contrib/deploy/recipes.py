"""Files and settings of each host. Its limits are in `opportune.config.hosts`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opportune.config.hosts import HOSTS, Host
from opportune.config.validated_settings import GENERATE_KEY_COMMAND

TEMPLATES = Path(__file__).parent / "templates"

STOP_SECONDS = 30
"""Stop time that the generated files request, so that LLM answers can end."""

SETTING_HINTS = {
    "SECRET_KEY": f"Signs tokens. Use another one for each site. Create one: {GENERATE_KEY_COMMAND}",
    "DATABASE_URL": "PostgreSQL URL from your provider. Neon: the string under Connect. Supabase: the session "
    "pooler's (port 5432).",
    "DATABASE_DIRECT_URL": "The same database without its pooler, for migrations. Only if DATABASE_URL uses a pooler.",
    "BASE_URL": "Public address of the site: https://example.org",
    "STORAGE_URL": "Storage of uploads: a bucket, s3://KEY:SECRET@HOST/BUCKET?region=NAME, or for a few files "
    "the database, database: (oppman.py docs files).",
    "MAIL_URL": "E-mail provider, such as resend://KEY (oppman.py docs mail). Without it users cannot reset passwords.",
    "ADMIN_EMAIL": "Receives the link that creates the first superuser. The log also contains it.",
    "BACKUP_URL": "Bucket for nightly backups: s3://KEY:SECRET@HOST/BUCKET/FOLDER (oppman.py docs backups).",
    "LLM_BASE_URL": "OpenAI-compatible endpoint for the chat (https://openrouter.ai/api/v1). You can also "
    "configure it in the admin.",
    "LLM_API_KEY": "API key of the endpoint.",
    "LLM_MODEL": "Name of the model.",
}
"""Settings that most sites need, with hints on how to get their values."""
OPTIONAL = ("DATABASE_DIRECT_URL", "MAIL_URL", "ADMIN_EMAIL", "BACKUP_URL", "LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL")
BEHIND_A_PROXY = {"TRUSTED_PROXIES": "*"}
WITHOUT_DISK = {**BEHIND_A_PROXY, "STORAGE_URL": "database:"}


@dataclass(frozen=True)
class Recipe:
    host: Host
    domain: str = ""
    """Domain of sites at this host."""
    provides_url: bool = False
    """The host provides the site's public address in an environment variable."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """Settings in the host's files or provided by the host. `deploy check` takes them into account."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Values for `.env.production`."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """Replacements for `SETTING_HINTS`. An empty hint leaves a setting out."""
    optional: tuple[str, ...] = ()
    """Settings that sites at this host do not need, in addition to `OPTIONAL`."""
    stop_seconds: float | None = None
    """Stop time requested in the host's file. None: default of the host."""
    stream_total_seconds: float | None = None
    """Longest response requested in the host's file. None: default of the host."""
    has_ipv6: bool = False
    """The host reaches addresses that only have IPv6."""
    has_volumes: bool = False
    """A persistent disk can be added."""
    free_limits: tuple[str, ...] = ()
    """Fields of `Host` that only apply to free plans."""
    first_paid_plan: str = ""
    """First plan without the limits in `free_limits`. Empty: any paid plan."""
    processes: int = 1
    """Processes started by the host's files, each with its own connection pools."""
    strips_quotes: bool = False
    """Quotes around values in `.env.production` are removed when it is copied to the host."""
    folder: str = ""
    """Folder of the templates. Empty: the name of the host."""
    secrets: tuple[str, ...] = ()
    """Settings that the host's files refer to as secrets."""

    @property
    def templates(self) -> Path:
        return TEMPLATES / (self.folder or self.host.name)


INCLUDED_POSTGRES = {"DATABASE_URL": "", "DATABASE_DIRECT_URL": ""}
ONE_MACHINE_HINTS = {
    "DATABASE_URL": "PostgreSQL URL. Without it the site uses SQLite in data/app.db, which suits one machine.",
    "STORAGE_URL": "",
}

RECIPES: dict[str, Recipe] = {
    recipe.host.name: recipe
    for recipe in (
        Recipe(
            HOSTS["fly"],
            "fly.dev",
            provides_url=True,
            defaults={"STORAGE_URL": "database:"},
            sets={**BEHIND_A_PROXY, "PORT": "8080", "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}"},
            stop_seconds=STOP_SECONDS,
            has_ipv6=True,
            has_volumes=True,
            strips_quotes=True,
        ),
        Recipe(
            HOSTS["render"],
            "onrender.com",
            provides_url=True,
            sets={**WITHOUT_DISK, "SECRET_KEY": "made by Render"},
            hints={"SECRET_KEY": "", "STORAGE_URL": ""},
            has_volumes=True,
            free_limits=("blocked_ports", "sleeps_after_seconds"),
            strips_quotes=True,
        ),
        Recipe(
            HOSTS["railway"],
            "up.railway.app",
            provides_url=True,
            defaults={
                **WITHOUT_DISK,
                "DATABASE_URL": "${{Postgres.DATABASE_URL}}",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}",
            },
            hints={"DATABASE_URL": "Reference to Railway's PostgreSQL, or the URL of another one."},
            stop_seconds=STOP_SECONDS,
            has_volumes=True,
            free_limits=("blocked_ports",),
            first_paid_plan="Pro",  # Hobby is paid but also blocks SMTP
        ),
        Recipe(
            HOSTS["leapcell"],
            "leapcell.dev",
            defaults={**WITHOUT_DISK, "ENVIRONMENT": "production", "JOBS": "request", "DATABASE_POOL_SIZE": "2"},
        ),
        Recipe(
            HOSTS["leapcell-persistent"],
            "leapcell.dev",
            defaults={**WITHOUT_DISK, "ENVIRONMENT": "production"},
            folder="leapcell",
        ),
        Recipe(
            HOSTS["koyeb"],
            "koyeb.app",
            provides_url=True,
            defaults=WITHOUT_DISK,
            has_volumes=True,
            free_limits=("sleeps_after_seconds",),
        ),
        Recipe(
            HOSTS["heroku"],
            "herokuapp.com",
            sets={"DATABASE_URL": "postgres://heroku:hidden@ec2-1-2-3-4.compute-1.amazonaws.com:5432/site"},
            defaults={**WITHOUT_DISK, "DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "2"},
            hints={**INCLUDED_POSTGRES, "BASE_URL": "Public address of the site, shown by heroku info."},
            free_limits=("sleeps_after_seconds",),
        ),
        Recipe(
            HOSTS["cloudrun"],
            "run.app",
            sets={**WITHOUT_DISK, "JOBS": "request", "DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "3"},
            hints={
                "BASE_URL": "Public address of the site: https://NAME-NUMBER.REGION.run.app with the number of your "
                "project (shown by gcloud projects describe), or your domain.",
                "STORAGE_URL": "",
            },
            stream_total_seconds=3600,
            processes=3,
            secrets=("SECRET_KEY", "DATABASE_URL", "BASE_URL"),
        ),
        Recipe(
            HOSTS["huggingface"],
            "hf.space",
            provides_url=True,
            defaults=WITHOUT_DISK,
            hints={
                "DATABASE_URL": "PostgreSQL on port 443 or 8080. Without it the site uses SQLite, which is empty "
                "after each restart: for a demonstration, run deploy check --ephemeral.",
                "DATABASE_DIRECT_URL": "",
                "MAIL_URL": "E-mail provider with an HTTPS API, such as resend://KEY (oppman.py docs mail).",
            },
            optional=("DATABASE_URL",),
        ),
        Recipe(
            HOSTS["fastapicloud"],
            "fastapicloud.dev",
            defaults={
                **WITHOUT_DISK,
                "ENVIRONMENT": "production",
                "JOBS": "request",
                "DATABASE_POOL_SIZE": "2",
                "DATABASE_MAX_OVERFLOW": "3",
                "FORWARDED_ALLOW_IPS": "*",
            },
        ),
        Recipe(
            HOSTS["linux"],
            defaults={
                "ENVIRONMENT": "production",
                "HOST": "127.0.0.1",
                "TRUSTED_PROXIES": "127.0.0.1",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}",
            },
            hints=ONE_MACHINE_HINTS,
            optional=("DATABASE_URL",),
            has_ipv6=True,
            has_volumes=True,
            strips_quotes=True,
        ),
        Recipe(
            HOSTS["compose"],
            sets={
                **BEHIND_A_PROXY,
                "DATABASE_URL": "postgresql://site:hidden@pgbouncer:6432/site",
                "DATABASE_DIRECT_URL": "postgresql://site:hidden@postgres:5432/site",
                "CACHE_URL": "redis://redis:6379/0",
                "JOBS": "worker",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}",
            },
            hints={
                **INCLUDED_POSTGRES,
                "STORAGE_URL": "",
                "POSTGRES_PASSWORD": "Password of the database: letters and digits. Set it before the first start. "
                "Create one: python3 -c 'import secrets; print(secrets.token_hex(24))'",
            },
            has_ipv6=True,
            has_volumes=True,
            processes=4,
            strips_quotes=True,
        ),
        Recipe(
            HOSTS["kubernetes"],
            sets={
                "TRUSTED_PROXIES": "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
                "STOP_DELAY_SECONDS": "5",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 7}",
                "JOBS": "worker",
                "PROCESSES": "12",
                "DATABASE_CONNECTIONS": "84",
            },
            defaults={"STORAGE_URL": "database:"},
            hints={
                "QUEUE_LENGTH_URL": "URL of the database without its pooler, for a role that may only count jobs "
                "(oppman.py docs deploy/kubernetes). Without it, delete the ScaledObject in scaling.yaml."
            },
            optional=("QUEUE_LENGTH_URL",),
            has_volumes=True,
            processes=12,
        ),
    )
}
