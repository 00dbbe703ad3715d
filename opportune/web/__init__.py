"""Pages, forms, streaming, caching and rate limits of a site."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
