"""Management commands. Imports only the standard library, because `oppman.py` runs before packages are installed."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
