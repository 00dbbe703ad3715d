"""Languages: texts, their translations, and formats of dates and numbers (oppman.py docs translations)."""

from opportune.project.lazy_exports import lazy_exports

__getattr__ = lazy_exports(__name__)
