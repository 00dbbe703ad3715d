"""Settings, secrets and the project's location. Lazy, since `oppman.py` runs before anything is installed."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
