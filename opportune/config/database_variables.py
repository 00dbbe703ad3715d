"""Variables of other programs that name a database, such as those of the PostgreSQL image."""

import os
import re

from dotenv import dotenv_values

from opportune.config.settings import Settings

HOST_VARIABLE = re.compile(r"(?:POSTGRES(?:QL)?|PG|DB|DATABASE)_?(?:HOST(?:NAME|ADDR)?|SERVER)")
URL_VARIABLE = re.compile(r"(?:POSTGRES(?:QL)?|PG|DB)_(?:PRISMA_)?UR[LI]")
PARTS = {
    "user": ("USER", "USERNAME"),
    "password": ("PASSWORD", "PASS", "PASSWD"),
    "port": ("PORT",),
    "name": ("DB", "DATABASE", "NAME", "DBNAME"),
}


def unused_database_notice(settings: Settings) -> str | None:
    """Return how to use a database that other variables name, if DATABASE_URL is not set. None if there is none."""
    if "database_url" in settings.model_fields_set:
        return None
    file = type(settings).model_config.get("env_file")
    from_file = dotenv_values(file, interpolate=False) if isinstance(file, str | os.PathLike) else {}
    names = [name for name, value in {**from_file, **os.environ}.items() if value]
    if name := next(filter(URL_VARIABLE.fullmatch, names), None):
        return _notice(name, f"${{{name}}}")
    if name := next(filter(HOST_VARIABLE.fullmatch, names), None):
        return _notice(name, _url(name, names))
    return None


def _url(host: str, names: list[str]) -> str:
    """Return the URL that consists of variables with the same beginning."""
    prefix = re.sub(r"(?:HOST(?:NAME|ADDR)?|SERVER)$", "", host)

    def part(key: str, default: str) -> str:
        name = next((f"{prefix}{word}" for word in PARTS[key] if f"{prefix}{word}" in names), "")
        return f"${{{name}}}" if name else default

    return (
        f"postgresql://{part('user', 'postgres')}:{part('password', 'PASSWORD')}@${{{host}}}:{part('port', '5432')}/"
        f"{part('name', 'postgres')}"
    )


def _notice(name: str, url: str) -> str:
    return (
        f"{name} is set, but DATABASE_URL is not, so the site uses SQLite. To use that database, write into .env: "
        f"DATABASE_URL={url}"
    )
