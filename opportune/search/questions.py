"""Search queries for questions in whole sentences, and the passage of a text that fits a question best."""

import re
from collections.abc import Iterator
from itertools import accumulate

from opportune.search.folding import fold, words

NAME = re.compile(r"\b(?:\w+(?:\.\w+)+|\w*_\w+)|(?<=`)[^`]+(?=`)")
"""Names of code: `os.path.join`, max_length, anything between backticks."""
SENTENCE_END = re.compile(r"\n\s*\n|(?<=[.!?])\s")
"""Places between paragraphs or sentences."""
MAX_KEY_WORDS = 8
PASSAGE_LENGTH = 1_200
"""Maximum characters of a passage."""
COMMON_WORDS = frozenset(
    words(
        "a about all also am an and any are as at be because been but by can could did do does doing done explain for "
        "from get give had has have hello help her hers hey hi him his how i if in into is it its just know let like "
        "make may me might mine more most much must my need no not of on one only or our out please same say shall "
        "she should show so some such tell than thank thanks that the their them then there these they this those to "
        "too up us use used using very want was way we were what when where which while who whom whose why will with "
        "work works would yes you your"
    )
)
"""English words without information about the subject of a question."""


def key_words(question: str) -> list[str]:
    """Return the folded words that describe the subject of a question: names, then longer words first."""
    named = [word for name in NAME.findall(question) for word in words(name)]
    plain = sorted((word for word in words(question) if len(word) > 1 and word not in COMMON_WORDS), key=len)
    return list(dict.fromkeys([*named, *reversed(plain)]))[:MAX_KEY_WORDS]


def queries_for(question: str) -> Iterator[str]:
    """Yield queries for a question, the most specific first: names, all key words, any key word."""
    yield from dict.fromkeys(NAME.findall(question))
    if keys := key_words(question):
        yield " ".join(keys)
        yield " or ".join(f'"{word}"' for word in keys)


def passage(text: str, question: str, length: int = PASSAGE_LENGTH) -> str:
    """Return the passage of a plain text with the most key words of a question or query. It begins with a sentence."""
    if len(text) <= length:
        return text
    keys = key_words(question)
    length -= len("…  …")
    characters = [*map(fold, text)]  # folding lengthens some of them
    folded = "".join(characters)
    offsets = [*accumulate(map(len, characters), initial=0)]

    def count_words_from(start: int) -> tuple[int, int]:
        """Return the number of different key words after this position, and of all their occurrences."""
        candidate = folded[offsets[start] : offsets[min(start + length, len(text))]]
        counts = [candidate.count(word) for word in keys]
        return len(counts) - counts.count(0), sum(counts)

    starts = [0, *(match.end() for match in SENTENCE_END.finditer(text))]
    start = max(starts, key=lambda start: (*count_words_from(start), start))  # on a tie the last, which has less before
    if count_words_from(start) == (0, 0):
        start = 0
    part = text[start : start + length]
    beginning = "… " if start else ""
    if start + length >= len(text):
        return beginning + part
    return f"{beginning}{part.rpartition(' ')[0] or part} …"
