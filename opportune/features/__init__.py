"""The framework's features. Optional ones are imported on first use, if a project lists them in `installed.py`."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
