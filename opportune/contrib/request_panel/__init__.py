"""The request panel of development: what the last requests did, at /_debug. DEBUG=true enables it."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
