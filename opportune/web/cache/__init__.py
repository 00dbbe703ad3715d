"""Cache of responses, values and parts of pages (oppman.py docs cache).

Mark a route with `@cached(...)`, take `SiteCache` for values, and call `clear_cache(session, "tag")` where content
changes.
"""

from opportune.web.cache.cache import Cache
from opportune.web.cache.factory import SiteCache, clear_cache, open_cache
from opportune.web.cache.rule import cached
from opportune.web.cache.store import ALL_TAGS

__all__ = ["ALL_TAGS", "Cache", "SiteCache", "cached", "clear_cache", "open_cache"]
