"""Words and keys by which the search finds the name of a document."""

import re
from collections.abc import Iterator
from itertools import chain

from opportune.search.folding import WORD, name_key, words

CASE_CHANGE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def name_words(name: str) -> list[str]:
    """Return the words of a name and their parts: `collections.OrderedDict` has ordereddict, ordered and dict."""
    split_words = [CASE_CHANGE.split(word) for word in WORD.findall(name)]
    parts = chain.from_iterable(split_word for split_word in split_words if len(split_word) > 1)
    return [*words(name), *chain.from_iterable(map(words, parts))]


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
