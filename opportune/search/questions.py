"""What to look for when somebody asks in whole sentences, and where in a text the answer may stand."""

import re
from collections.abc import Iterator

from opportune.search.words import folded, words

NAME = re.compile(r"\w+(?:\.\w+)+|\w*_\w+|(?<=`)[^`]+(?=`)")
"""What is written as names of code are: `os.path.join`, max_length, anything between backticks."""
MAX_WORDS = 8
PASSAGE_LENGTH = 1_200
"""Characters of a passage, where nothing else is wanted."""
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
"""Words of English that say nothing of what somebody asks about."""


def key_words(question: str) -> list[str]:
    """The words of a question that say what it is about, folded: names, then the longer before the shorter."""
    named = [word for name in NAME.findall(question) for word in words(name)]
    others = sorted((word for word in words(question) if len(word) > 1 and word not in COMMON_WORDS), key=len)
    return list(dict.fromkeys([*named, *reversed(others)]))[:MAX_WORDS]


def queries_for(question: str) -> Iterator[str]:
    """What to search for, from what fits best to what may: names, all of its words, any of them."""
    yield from dict.fromkeys(NAME.findall(question))
    if found := key_words(question):
        yield " ".join(found)
        yield " or ".join(f'"{word}"' for word in found)


def passage(text: str, question: str, length: int = PASSAGE_LENGTH) -> str:
    """The part of a text that has the most of a question's words, so many characters long at most."""
    if len(text) <= length:
        return text
    wanted, low = key_words(question), folded(text)
    starts = [0, *(match.end() for match in re.finditer(r"\n\s*\n|(?<=[.!?])\s", text))]

    def words_in(start: int) -> tuple[int, int]:
        part = low[start : start + length]
        return sum(word in part for word in wanted), sum(part.count(word) for word in wanted)

    start = max(starts, key=lambda each: (*words_in(each), each))
    cut = text[start : start + length].rpartition(" ")[0]
    return f"{'… ' if start else ''}{cut or text[start : start + length]} …"
