"""Creation of the cache from the settings, and clearing of tags from services."""

from functools import partial
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.config.settings import Settings
from opportune.db.database import Database, after_commit
from opportune.errors import OperatorError
from opportune.web.cache.cache import Cache, UserLoader, load_no_user
from opportune.web.cache.redis_store import RedisStore
from opportune.web.cache.store import MemoryStore, Store
from opportune.web.time_zone import site_zone

CACHE_URL_FORMAT = "CACHE_URL must be memory: or redis://[:password@]host[:6379][/0], with rediss: for TLS"
INFO_KEY = "cache"


def open_cache(settings: Settings, database: Database, load_user: UserLoader = load_no_user) -> Cache:
    """Create the cache and register it in the database, so that `clear` finds it in sessions.

    It is disabled in development, so that changed templates are visible immediately.

    Raises:
        OperatorError: CACHE_URL is invalid.
    """
    store = open_store(settings.cache_url.get_secret_value())
    cache = database.info[INFO_KEY] = Cache(
        store,
        load_user,
        is_enabled=settings.environment != "development",
        zone=site_zone(settings),
        bus=None if store.is_shared else database.bus,
    )
    return cache


def open_store(url: str) -> Store:
    if url.strip() in ("", "memory:", "memory://"):
        return MemoryStore()
    try:
        parts = urlsplit(url.strip())
        is_valid = _is_valid(parts)
    except ValueError as error:
        raise OperatorError(f"{CACHE_URL_FORMAT}.") from error
    if not is_valid:
        raise OperatorError(f"{CACHE_URL_FORMAT}.")
    return RedisStore(url.strip(), f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}")


def _is_valid(parts: SplitResult) -> bool:
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or parts.fragment:
        return False
    number = parts.path.removeprefix("/")
    if parts.port == 0 or (number and not number.isdecimal()):
        return False
    return all(option.startswith("ssl_") for option in parts.query.split("&") if option)


def clear(session: AsyncSession, *tags: str) -> None:
    """Clear the responses with one of these tags after the session commits."""
    cache: Cache | None = session.info.get(INFO_KEY)
    if cache:
        after_commit(session, partial(cache.clear, *tags))
