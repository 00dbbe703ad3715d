"""Icons of models, guessed from their names: `Book` has a book, `OrderItem` a shopping cart."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from opportune.web.static.icons import is_icon

LINES = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
WORDS_BY_ICON = dict(line.split(": ") for line in LINES)
"""Words that are not the name of an icon, such as `asset` for `box`."""
ICON_BY_WORD = {word: icon for icon, words in WORDS_BY_ICON.items() for word in words.split()}


class GuessedIcon:
    """Default of the option `icon`: a class of Tabler for the model of the view."""

    def __get__(self, instance: object, owner: type[Any]) -> str:
        model = getattr(owner, "model", None)
        return f"ti ti-{guess_icon(model.__name__)}" if model else ""


@lru_cache(1024)
def guess_icon(name: str) -> str:
    """Return Tabler's icon for the last known word of a model's name, by default its first letter."""
    words = [word.lower() for word in re.findall("[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    candidates = (ICON_BY_WORD.get(word, word) for word in reversed(words))
    letter = f"square-letter-{name[0].lower()}"
    return next(filter(is_icon, (*candidates, letter)), "table")
