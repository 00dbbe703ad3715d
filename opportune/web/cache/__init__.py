"""Response cache for pages and JSON that are the same for every visitor (oppman.py docs cache).

Mark a route with `@cached(...)`, and call `clear(session, "tag")` where its content changes.
"""

from opportune.web.cache.cache import Cache
from opportune.web.cache.factory import clear, open_cache
from opportune.web.cache.rule import cached
from opportune.web.cache.store import ALL_TAGS

__all__ = ["ALL_TAGS", "Cache", "cached", "clear", "open_cache"]
