"""English plurals and lists of names, for commands and logs."""

import re
from collections.abc import Sequence

IRREGULAR = {"person": "people", "child": "children", "man": "men", "woman": "women", "mouse": "mice", "foot": "feet"}
IRREGULAR |= {"shelf": "shelves", "leaf": "leaves", "half": "halves", "life": "lives", "wife": "wives"}
IRREGULAR |= {"knife": "knives", "tooth": "teeth", "quiz": "quizzes", "bus": "buses", "criterion": "criteria"}
IRREGULAR |= {"hero": "heroes", "potato": "potatoes", "tomato": "tomatoes", "echo": "echoes"}
UNCOUNTABLE = {"news", "series", "species", "equipment", "information", "data", "media", "money", "sheep", "fish"}
UNCOUNTABLE |= {"settings", "software", "advice", "feedback", "staff", "people", "children"}


def plural_of(name: str) -> str:
    """Return the plural of the last word: "Story" is "Stories", "book review" is "book reviews"."""
    head, separator, last = name.rpartition(" ")
    word = last.lower()
    if word in UNCOUNTABLE:
        return name
    plural = IRREGULAR.get(word) or _regular_plural(last)
    return f"{head}{separator}{last[:1]}{plural[1:]}"


def pluralize(number: int, name: str, plural: str = "") -> str:
    """Format a number of things, such as `1 row` or `1,000 rows`. `plural` is for names with another plural."""
    noun = name if number == 1 else plural or plural_of(name)
    return f"{number:,} {noun}"


def list_first(names: Sequence[str], limit: int) -> str:
    """Return the first names in one line, such as `a, b and 7 more` for a limit of two."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _regular_plural(word: str) -> str:
    if re.search(r"[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    if word.endswith("sis"):  # analysis, basis
        return f"{word[:-2]}es"
    return f"{word}es" if re.search(r"(s|x|z|ch|sh)$", word) else f"{word}s"
