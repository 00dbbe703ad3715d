"""Words and names in the form in which the search compares them."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain

WORD = re.compile(r"[^\W_]{1,200}")
"""A word, or a part of a longer one: PostgreSQL rejects words of more than 2046 bytes."""
CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
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


def name_words(name: str) -> list[str]:
    """Return the words of a name and their parts: `collections.OrderedDict` has ordereddict, ordered and dict."""
    split_words = [CASE_CHANGE.split(word) for word in WORD.findall(name)]
    parts = chain.from_iterable(split_word for split_word in split_words if len(split_word) > 1)
    return [*words(name), *chain.from_iterable(map(words, parts))]


def name_key(text: str) -> str:
    """Normalize a name for exact comparison: `OS.Path ` becomes `os.path`."""
    return SPACES.sub(" ", fold(text)).strip()


def name_suffix_keys(name: str, *, dotted: bool) -> Iterator[tuple[str, int]]:
    """Yield the keys of a name and, if `dotted`, of its suffixes, with the number of removed parts.

    `os.path.join` has ("os.path.join", 0), ("path.join", 1) and ("join", 2).
    """
    suffix = name_key(name)
    depth = 0
    yield suffix, depth
    while dotted and (suffix := suffix.partition(".")[2]):
        depth += 1
        yield suffix, depth
