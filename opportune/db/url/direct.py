"""URL of the database without a pooler."""

import os
from contextlib import suppress

from opportune.config.settings import Settings
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError

DIRECT_URL_VARIABLES = ("DATABASE_UNPOOLED_URL", "DATABASE_URL_UNPOOLED", "DIRECT_URL")
"""Variables in which hosts provide the URL without the pooler: Railway, Neon on Vercel, and conventions of Prisma."""


def direct_url(settings: Settings) -> DatabaseUrl:
    """Return the URL without a pooler if settings or the host's variables provide it, else DATABASE_URL."""
    if direct := settings.database_direct_url.get_secret_value():
        return DatabaseUrl.parse(direct, name="DATABASE_DIRECT_URL")
    url = DatabaseUrl.parse(settings.database_url.get_secret_value(), settings.database_pooled)
    return _direct_url_of_host(url) or url


def _direct_url_of_host(url: DatabaseUrl) -> DatabaseUrl | None:
    """Return the URL of a host's variable, if it is the same database and not one of another project."""
    for name in DIRECT_URL_VARIABLES:
        with suppress(OperatorError):  # not a database URL
            direct = DatabaseUrl.parse(os.environ.get(name, ""), name=name)
            if url.url.password and (direct.database, direct.url.password) == (url.database, url.url.password):
                return direct
    return None
