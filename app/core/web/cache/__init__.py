"""Finished answers, kept for a while: pages and JSON that are the same for everybody (docs/cache.md).

Mark a route with `@cached(...)`, and call `clear(session, "tag")` where its content changes.
"""

from app.core.web.cache.cache import Cache
from app.core.web.cache.opening import clear, open_cache
from app.core.web.cache.rule import cached
from app.core.web.cache.store import ALL

__all__ = ["ALL", "Cache", "cached", "clear", "open_cache"]
