"""The request panel of development: what the last requests did, at /_debug. DEBUG=true enables it."""

from opportune.runtime.lazy_exports import lazy_exports

# Lazy, so that a site without the panel does not load it.
__getattr__ = lazy_exports(
    "opportune.contrib.request_panel", {".panel": ("add_pages", "panel_middleware", "recorded_requests")}
)
