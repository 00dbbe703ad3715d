"""Creation of the cache from the settings, and clearing of tags from services."""

from contextlib import suppress
from functools import partial
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from opportune.config.settings import Settings
from opportune.config.signing import derived_key
from opportune.db.database import Database
from opportune.db.sessions.dependencies import on_site
from opportune.db.sessions.session import after_commit
from opportune.errors import OperatorError
from opportune.project.optional_features import require_feature
from opportune.services import Services
from opportune.web.cache.cache import Cache
from opportune.web.cache.redis_store import RedisStore
from opportune.web.cache.responses import ResponseCache, ViewerReader, read_no_viewer
from opportune.web.cache.store import MemoryStore, Store
from opportune.web.time_zone import site_zone

CACHE_URL_FORMAT = "CACHE_URL must be memory:, database: or redis://[:password@]host[:6379][/0], with rediss: for TLS"
IN_MEMORY, IN_DATABASE = "memory", "database"
INFO_KEY = "cache"
DATABASE_SERVICE = "database_cache"
"""Name of the feature for CACHE_URL=database:, and of its service."""


def open_cache(services: Services, read_viewer: ViewerReader = read_no_viewer) -> ResponseCache:
    """Create the cache and register it in the database, so that `clear_cache` finds it in sessions.

    In development it stores no responses and parts, so that changed templates are visible immediately.

    Raises:
        OperatorError: CACHE_URL is invalid, or needs a feature that is not installed.
    """
    settings: Settings = services.settings
    database: Database = services.database
    cache = database.info[INFO_KEY] = ResponseCache(
        _open_store(services),
        read_viewer,
        zone=site_zone(settings),
        database=database,
        secret=derived_key(settings, "cache"),
        is_enabled=settings.environment != "development",
    )
    return cache


def _open_store(services: Services) -> Store:
    url = services.settings.cache_url.get_secret_value()
    if cache_name(url) != IN_DATABASE:
        return open_store(url)
    require_feature(DATABASE_SERVICE, services.features)
    store: Store = services.named(DATABASE_SERVICE)
    return store


def open_store(url: str) -> Store:
    """Return a store of this process or of Redis.

    Raises:
        OperatorError: The URL is invalid.
    """
    name = cache_name(url)
    return MemoryStore() if name == IN_MEMORY else RedisStore(url.strip(), name)


def cache_name(url: str) -> str:
    """Return the kind of a store, or the URL of a Redis without its password.

    Raises:
        OperatorError: The URL is invalid.
    """
    url = url.strip()
    if url in ("", "memory:", "memory://"):
        return IN_MEMORY
    if url in ("database:", "database://"):
        return IN_DATABASE
    with suppress(ValueError):
        parts = urlsplit(url)
        if _is_redis(parts):
            return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"
    raise OperatorError(f"{CACHE_URL_FORMAT}.")


def _is_redis(parts: SplitResult) -> bool:
    """Return whether this is a URL of Redis.

    Raises:
        ValueError: The port is not a number.
    """
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.fragment:
        return False
    number = parts.path.removeprefix("/")
    if parts.port == 0 or (number and not number.isdecimal()):
        return False
    return all(option.startswith("ssl_") for option in parts.query.split("&") if option)


async def _get_cache(request: HTTPConnection) -> Cache:
    cache: Cache = on_site(request).app.state.cache
    return cache


SiteCache = Annotated[Cache, Depends(_get_cache)]


def clear_cache(session: AsyncSession, *tags: str) -> None:
    """Clear the responses, values and parts with one of these tags after the session commits."""
    cache: Cache | None = session.info.get(INFO_KEY)
    if cache:
        after_commit(session, partial(cache.clear, *tags))
