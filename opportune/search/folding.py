"""Words and names in the form in which the search compares them."""

import re
import unicodedata

WORD = re.compile(r"[^\W_]{1,200}")
"""A word, or a part of a longer one: PostgreSQL rejects words of more than 2046 bytes."""
SPACES = re.compile(r"\s+")
ACCENTS = re.compile("[\u0300-\u036f]+")


def fold(text: str) -> str:
    """Return the text in lower case without accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def fold_like_postgresql(text: str) -> str:
    """Fold like the SQL expression in `opportune.search.postgresql`."""
    return text.lower() if text.isascii() else ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower()


def words(text: str) -> list[str]:
    return WORD.findall(fold(text))


def name_key(text: str) -> str:
    """Normalize a name for exact comparison: `OS.Path ` becomes `os.path`."""
    return SPACES.sub(" ", fold(text)).strip()
