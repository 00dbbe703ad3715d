"""The part of a page that a template renders for the cache, and contents that exclude it from the cache."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class CachedPart:
    is_per_user: bool
    tag_versions: dict[str, str]
    """Versions of its tags, and of those of the parts inside it."""
    excluded_by: str = ""
    """Content that belongs to one request or user. The part is then not cached."""


current_part: ContextVar[CachedPart | None] = ContextVar("current_part", default=None)
"""The innermost part that is being rendered. None outside of `{% cache %}`."""


def exclude_from_cache(content: str, *, if_shared: bool = False) -> None:
    """Do not cache the parts that are being rendered, because this content belongs to one request, or to one user."""
    if (part := current_part.get()) and not (if_shared and part.is_per_user):
        part.excluded_by = content
