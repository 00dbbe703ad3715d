"""Languages by their code. Babel is imported on first use of a language other than English."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

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

    @property
    def tag(self) -> str:
        """Code for the attribute `lang`. Browsers and screen readers do not know the pseudo-language."""
        return "en-XA" if self == PSEUDO else self.code

    @cached_property
    def locale(self) -> Locale:
        """Formats of Babel."""
        from babel import Locale

        return Locale.parse(SOURCE_LANGUAGE if self == PSEUDO else self.code, sep="-")


ENGLISH = Language(SOURCE_LANGUAGE, "English", "ltr")
PSEUDO = Language(PSEUDO_LANGUAGE, "Pseudo-language", "ltr")


@lru_cache(100)
def find_language(code: str) -> Language | None:
    """Return the language with a code such as `de`, `pt-BR` or `zh_Hans`; None if there is none."""
    if code in (SOURCE_LANGUAGE, PSEUDO_LANGUAGE):
        return ENGLISH if code == SOURCE_LANGUAGE else PSEUDO
    from babel import Locale, UnknownLocaleError

    try:
        locale = Locale.parse(code.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError):
        return None
    name = locale.get_display_name() or code
    return Language(code.replace("_", "-"), name[:1].upper() + name[1:], locale.text_direction)
