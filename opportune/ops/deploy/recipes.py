"""For each host: its files, and where its settings come from. Its limits are in `opportune.config.hosts`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opportune.config.hosts import HOSTS, Host
from opportune.config.settings import GENERATE_KEY_COMMAND

TEMPLATES = Path(__file__).parent / "templates"

STOP_SECONDS = 30
"""What our files ask hosts to wait for answers of language models."""

WHERE = {
    "SECRET_KEY": f"Signs tokens; another one for each site. Make it: {GENERATE_KEY_COMMAND}",
    "DATABASE_URL": "PostgreSQL, as its provider shows it: of Neon the string of Connect, of Supabase the session "
    "pooler's (port 5432).",
    "DATABASE_DIRECT_URL": "If that one goes through a pooler: the same database without it, for migrations.",
    "BASE_URL": "Where visitors find the site: https://example.org",
    "STORAGE_URL": "Where uploads are kept: a bucket, s3://KEY:SECRET@HOST/BUCKET?region=NAME, or for a few "
    "the database, database: (docs/files.md).",
    "MAIL_URL": "Who sends e-mail, such as resend://KEY (docs/mail.md). Without it nobody can reset a password.",
    "ADMIN_EMAIL": "Who gets the link that makes the first superuser. It is in the log, too.",
    "BACKUP_URL": "Where a backup goes each night: s3://KEY:SECRET@HOST/BUCKET/FOLDER (docs/backups.md).",
    "LLM_BASE_URL": "Who answers in the chat: any OpenAI-compatible endpoint (https://openrouter.ai/api/v1). Or "
    "choose it in the admin afterwards.",
    "LLM_API_KEY": "Its key.",
    "LLM_MODEL": "The model's name there.",
}
"""What most sites want of their owner, and how to get it."""
OPTIONAL = ("DATABASE_DIRECT_URL", "MAIL_URL", "ADMIN_EMAIL", "BACKUP_URL", "LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL")
BEHIND_A_PROXY = {"TRUSTED_PROXIES": "*"}
WITHOUT_DISK = {**BEHIND_A_PROXY, "STORAGE_URL": "database:"}


@dataclass(frozen=True)
class Recipe:
    host: Host
    domain: str = ""
    """What the names of sites there end with."""
    tells_address: bool = False
    """Whether it tells the site's public address by itself."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """Settings that its own files have, or that it makes itself. `deploy check` counts them in."""
    asks: Mapping[str, str] = field(default_factory=dict)
    """Values for `.env.production`."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Words on settings that say more than those of `WHERE`; empty ones leave a setting out."""
    stop_seconds: float | None = None
    """Seconds until the end as our file asks for. None: the host's."""
    stream_total_seconds: float | None = None
    """Seconds of an answer as our file asks for. None: the host's."""
    has_ipv6: bool = False
    """Whether it reaches what has no other address."""
    has_volumes: bool = False
    """Whether a disk that is kept may be added."""
    paid_lifts: tuple[str, ...] = ()
    """Fields of `Host` that limit free plans only."""
    paid_from: str = ""
    """The first plan that lifts it. Empty: any that is paid."""
    processes: int = 1
    """Processes of the site with a pool of their own that our files start."""
    takes_quotes: bool = True
    """False: what copies `.env.production` there keeps the quotes around values."""
    unsure: tuple[str, ...] = ()
    """Fields of `Host` that it does not publish, or that reports disagree about."""
    folder: str = ""
    """Where its templates are. Empty: in the folder of its name."""
    secrets: tuple[str, ...] = ()
    """What its files name as secrets that are kept elsewhere."""

    @property
    def limited_plans(self) -> str:
        """Where what `paid_lifts` names holds."""
        return f"plans below {self.paid_from}" if self.paid_from else "free plans"

    @property
    def templates(self) -> Path:
        return TEMPLATES / (self.folder or self.host.name)


NO_POSTGRES_HERE = {"DATABASE_URL": "", "DATABASE_DIRECT_URL": ""}
OF_ONE_MACHINE = {
    "DATABASE_URL": "PostgreSQL; left out, it is SQLite in data/app.db, which one machine can do with.",
    "STORAGE_URL": "",
}

RECIPES: dict[str, Recipe] = {
    recipe.host.name: recipe
    for recipe in (
        Recipe(
            HOSTS["fly"],
            "fly.dev",
            tells_address=True,
            asks={"STORAGE_URL": "database:"},
            sets={**BEHIND_A_PROXY, "PORT": "8080", "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}"},
            stop_seconds=STOP_SECONDS,
            has_ipv6=True,
            has_volumes=True,
        ),
        Recipe(
            HOSTS["render"],
            "onrender.com",
            tells_address=True,
            sets={**WITHOUT_DISK, "SECRET_KEY": "made by Render"},
            where={"SECRET_KEY": "", "STORAGE_URL": ""},
            unsure=("stream_total_seconds",),
            has_volumes=True,
            paid_lifts=("blocked_ports", "sleeps_after_seconds"),
        ),
        Recipe(
            HOSTS["railway"],
            "up.railway.app",
            tells_address=True,
            asks={
                **WITHOUT_DISK,
                "DATABASE_URL": "${{Postgres.DATABASE_URL}}",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}",
            },
            where={"DATABASE_URL": "Its own PostgreSQL by this reference, or another's address."},
            stop_seconds=STOP_SECONDS,
            has_volumes=True,
            paid_lifts=("blocked_ports",),
            paid_from="Pro",  # Hobby, which is paid, has no SMTP either
            takes_quotes=False,
        ),
        Recipe(
            HOSTS["leapcell"],
            "leapcell.dev",
            unsure=("stop_seconds", "max_request_bytes"),
            asks={**WITHOUT_DISK, "ENVIRONMENT": "production", "JOBS": "request", "DATABASE_POOL_SIZE": "2"},
            takes_quotes=False,
        ),
        Recipe(
            HOSTS["leapcell-persistent"],
            "leapcell.dev",
            unsure=("stop_seconds", "max_request_bytes"),
            asks={**WITHOUT_DISK, "ENVIRONMENT": "production"},
            takes_quotes=False,
            folder="leapcell",
        ),
        Recipe(
            HOSTS["koyeb"],
            "koyeb.app",
            unsure=("stop_seconds", "stream_total_seconds", "blocked_ports"),
            tells_address=True,
            asks=WITHOUT_DISK,
            has_volumes=True,
            paid_lifts=("sleeps_after_seconds",),
            takes_quotes=False,
        ),
        Recipe(
            HOSTS["heroku"],
            "herokuapp.com",
            sets={"DATABASE_URL": "postgres://heroku:hidden@ec2-1-2-3-4.compute-1.amazonaws.com:5432/site"},
            asks={**WITHOUT_DISK, "DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "2"},
            where={**NO_POSTGRES_HERE, "BASE_URL": "Where visitors find the site: heroku info tells."},
            paid_lifts=("sleeps_after_seconds",),
            takes_quotes=False,
        ),
        Recipe(
            HOSTS["cloudrun"],
            "run.app",
            sets={**WITHOUT_DISK, "JOBS": "request", "DATABASE_POOL_SIZE": "2", "DATABASE_MAX_OVERFLOW": "3"},
            where={
                "BASE_URL": "Where visitors find the site: https://NAME-NUMBER.REGION.run.app, with the number of your "
                "project (gcloud projects describe tells it), or a domain of yours.",
                "STORAGE_URL": "",
            },
            stream_total_seconds=3600,
            processes=3,
            secrets=("SECRET_KEY", "DATABASE_URL", "BASE_URL"),
            takes_quotes=False,
        ),
        Recipe(
            HOSTS["huggingface"],
            "hf.space",
            unsure=("stop_seconds", "open_ports"),
            tells_address=True,
            asks=WITHOUT_DISK,
            where={
                "DATABASE_URL": "PostgreSQL that answers at port 443 or 8080; left out, it is SQLite, which is empty "
                "after each restart: deploy check --ephemeral takes that for a demonstration.",
                "DATABASE_DIRECT_URL": "",
                "MAIL_URL": "Who sends e-mail, over HTTPS alone, such as resend://KEY (docs/mail.md).",
            },
            takes_quotes=False,
        ),
        Recipe(
            HOSTS["linux"],
            asks={
                "ENVIRONMENT": "production",
                "HOST": "127.0.0.1",
                "TRUSTED_PROXIES": "127.0.0.1",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 2}",
            },
            where=OF_ONE_MACHINE,
            has_ipv6=True,
            has_volumes=True,
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
            where={
                **NO_POSTGRES_HERE,
                "STORAGE_URL": "",
                "POSTGRES_PASSWORD": "Of the database, before its first start: letters and digits. Make it: "
                "python3 -c 'import secrets; print(secrets.token_hex(24))'",
            },
            has_ipv6=True,
            has_volumes=True,
            processes=3,
        ),
        Recipe(
            HOSTS["kubernetes"],
            sets={
                "TRUSTED_PROXIES": "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
                "ANSWER_GRACE_SECONDS": f"{STOP_SECONDS - 7}",
                "JOBS": "worker",
            },
            asks={"STORAGE_URL": "database:"},
            has_volumes=True,
            processes=5,
            takes_quotes=False,
        ),
    )
}
