"""Variables of other programs that name a database, such as those of the PostgreSQL image."""

import os
import re
from collections.abc import Sequence

from dotenv import dotenv_values

from opportune.config.settings import Settings

HOST_VARIABLE = re.compile(r"((?:POSTGRES(?:QL)?|PG|DB|DATABASE)_?)(?:HOST(?:NAME|ADDR)?|SERVER)")
URL_VARIABLE = re.compile(r"(?:POSTGRES(?:QL)?|PG|DB)_(?:PRISMA_)?UR[LI]")
PARTS = {"USER(NAME)?": "postgres", "PASS(WORD|WD)?": "PASSWORD", "PORT": "5432", "DATABASE|DB|(DB)?NAME": "postgres"}
"""Ends of variables beside that of a host, with the text in a URL if there is no such variable."""


def unused_database_notice(settings: Settings) -> str | None:
    """Return how to use a database that other variables name, if DATABASE_URL is not set. None if there is none."""
    if "database_url" in settings.model_fields_set:
        return None
    file = type(settings).model_config.get("env_file")
    from_file = dotenv_values(file, interpolate=False) if isinstance(file, str | os.PathLike) else {}
    names = [name for name, value in {**from_file, **os.environ}.items() if value]
    urls = {name: f"${{{name}}}" for name in filter(URL_VARIABLE.fullmatch, names)}
    urls |= {host[0]: _url(host, names) for host in filter(None, map(HOST_VARIABLE.fullmatch, names))}
    if not urls:
        return None
    name, url = next(iter(urls.items()))
    return (
        f"{name} is set, but DATABASE_URL is not, so the site uses SQLite. To use that database, write into .env: "
        f"DATABASE_URL={url}"
    )


def _url(host: re.Match[str], names: Sequence[str]) -> str:
    """Return the URL that consists of variables with the same beginning."""
    parts = []
    for end, default in PARTS.items():
        name = next((name for name in names if re.fullmatch(f"{host[1]}({end})", name)), "")
        parts.append(f"${{{name}}}" if name else default)
    user, password, port, database = parts
    return f"postgresql://{user}:{password}@${{{host[0]}}}:{port}/{database}"
