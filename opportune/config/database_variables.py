"""Variables of other programs that name a database, such as those of the PostgreSQL image."""

import os
import re

from dotenv import dotenv_values

from opportune.config.settings import Settings

DATABASE_VARIABLE = re.compile(
    r"(?:POSTGRES(?:QL)?|PG|DB|DATABASE)_?(?:HOST(?:NAME|ADDR)?|SERVER)|(?:POSTGRES(?:QL)?|PG|DB)_(?:PRISMA_)?UR[LI]"
)
"""A host, or a URL under another name than DATABASE_URL."""


def unused_database_notice(settings: Settings) -> str | None:
    """Return a notice about a database that another variable names, if DATABASE_URL is not set. None without one."""
    if "database_url" in settings.model_fields_set:
        return None
    file = type(settings).model_config.get("env_file")
    from_file = dotenv_values(file, interpolate=False) if isinstance(file, str | os.PathLike) else {}
    variables = {**from_file, **os.environ}
    name = next((name for name, value in variables.items() if value and DATABASE_VARIABLE.fullmatch(name)), None)
    if name is None:
        return None
    return (
        f"{name} is set, but DATABASE_URL is not, so the site uses SQLite. To use that database, write its URL into "
        ".env (oppman.py docs databases)."
    )
