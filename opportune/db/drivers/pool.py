"""The size of a pool, and how long its users wait."""

from typing import Any

from opportune.settings import Settings

POOL_TIMEOUT_SHARE = 0.9
"""What of DATABASE_POOL_TIMEOUT is spent on waiting: the visitor has the answer before it ends."""


def pool_options(settings: Settings) -> dict[str, Any]:
    """A pool's size and patience, for `create_async_engine`."""
    return {
        "pool_size": settings.database_pool_size,
        "max_overflow": settings.database_max_overflow,
        "pool_timeout": POOL_TIMEOUT_SHARE * settings.database_pool_timeout,
    }
