"""How names and texts become the words that are compared: the same for index and question."""

import re
import unicodedata
from collections.abc import Iterator

WORD = re.compile(r"[^\W_]+")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SPACES = re.compile(r"\s+")
ACCENTS = re.compile("[\u0300-\u036f]+")


def folded(text: str) -> str:
    """The text without capitals and accents."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))


def folded_as_postgresql(text: str) -> str:
    """The same, as far as PostgreSQL's own functions do it: see `opportune.search.models.postgresql`."""
    return text.lower() if text.isascii() else ACCENTS.sub("", unicodedata.normalize("NFKD", text)).lower()


def words(text: str) -> list[str]:
    return WORD.findall(folded(text))


def name_words(name: str) -> list[str]:
    """A name's words, and those inside them: `collections.OrderedDict` has ordereddict, ordered and dict."""
    parts = [word for part in WORD.findall(name) if len(humps := HUMP.split(part)) > 1 for word in humps]
    return [*words(name), *map(folded, parts)]


def key(text: str) -> str:
    """What is compared letter by letter: `OS.Path ` is `os.path`."""
    return SPACES.sub(" ", folded(text)).strip()


def keys(name: str, *, dotted: bool) -> Iterator[tuple[str, int]]:
    """What it may be called, each with the number of parts left out before it: os.path.join, path.join, join."""
    whole = key(name)
    yield whole, 0
    rest = whole
    depth = 0
    while dotted and (rest := rest.partition(".")[2]):
        depth += 1
        yield rest, depth
