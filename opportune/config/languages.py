"""Languages by their code."""

from dataclasses import dataclass
from functools import lru_cache

from babel import Locale, UnknownLocaleError

SOURCE_LANGUAGE = "en"
"""Language of texts in the source code."""
PSEUDO_LANGUAGE = "xx"
"""Language for development. It lengthens English texts, so that missing translations and narrow places are visible."""


@dataclass(frozen=True)
class Language:
    code: str
    """Tag for browsers, such as `de` or `zh-Hans`."""
    name: str
    """Name in the language itself, such as Deutsch."""
    direction: str
    """`ltr` or `rtl`, for the attribute `dir`."""
    locale: Locale
    """Formats of Babel."""


@lru_cache(100)
def find_language(code: str) -> Language | None:
    """Return the language with a code such as `de`, `pt-BR` or `zh_Hans`; None if there is none."""
    try:
        locale = Locale.parse(SOURCE_LANGUAGE if code == PSEUDO_LANGUAGE else code.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return None
    if code == PSEUDO_LANGUAGE:
        return Language(code, "Pseudo-language", "ltr", locale)
    name = locale.get_display_name() or code
    return Language(code.replace("_", "-"), name[:1].upper() + name[1:], locale.text_direction, locale)
