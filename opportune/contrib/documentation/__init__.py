"""The documentation of the framework: in the terminal, and at /docs in development."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
