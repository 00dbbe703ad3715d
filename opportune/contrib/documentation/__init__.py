"""The documentation of the framework: in the terminal, and at /docs in development."""

from typing import TYPE_CHECKING

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.contrib.documentation.pages import router, titles_by_type
    from opportune.contrib.documentation.search import Documentation

__all__ = ["Documentation", "router", "titles_by_type"]

# Lazy, so that sites in production do not load the pages and the search.
__getattr__ = lazy_exports(__name__, {".pages": ("router", "titles_by_type"), ".search": ("Documentation",)})
