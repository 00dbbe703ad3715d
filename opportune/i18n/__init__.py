"""Languages: texts, their translations, and formats of dates and numbers (oppman.py docs translations)."""

from opportune.config.languages import Language, find_language
from opportune.i18n.languages import current_language, get_language, use_language
from opportune.i18n.translation import (
    LazyText,
    format_lazy,
    gettext,
    gettext_lazy,
    lower_name,
    ngettext,
    npgettext,
    pgettext,
    pgettext_lazy,
)

__all__ = [
    "Language",
    "LazyText",
    "current_language",
    "find_language",
    "format_lazy",
    "get_language",
    "gettext",
    "gettext_lazy",
    "lower_name",
    "ngettext",
    "npgettext",
    "pgettext",
    "pgettext_lazy",
    "use_language",
]
