"""Stored answers of language models, which continue after their request, and limits of their cost."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
