"""The declaration of features, for `feature.py`."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
