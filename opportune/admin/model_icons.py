"""Icons of models, guessed from their names: `Book` has a book, `OrderItem` a shopping cart."""

import re
from functools import lru_cache
from typing import Any

from opportune.web.static.icons import is_icon

WORDS_BY_ICON = {
    "arrows-exchange": "transaction",
    "article": "article post",
    "box": "asset",
    "briefcase": "job",
    "building": "company",
    "building-community": "city",
    "building-factory-2": "maker",
    "building-store": "shop store",
    "building-warehouse": "warehouse",
    "calendar-check": "booking reservation",
    "calendar-event": "appointment event meeting",
    "car": "vehicle",
    "cash": "expense",
    "checkbox": "task",
    "chef-hat": "recipe",
    "credit-card": "payment",
    "currency-dollar": "price",
    "disc": "album",
    "door": "room",
    "file-invoice": "invoice",
    "file-text": "contract document",
    "flag": "country",
    "folder": "project",
    "hash": "topic",
    "heartbeat": "patient",
    "help-circle": "question",
    "id-badge-2": "employee",
    "mail": "invitation",
    "map-pin": "place",
    "message": "comment",
    "movie": "movie",
    "music": "song track",
    "note": "note",
    "package": "item product",
    "photo": "image",
    "school": "course lesson student teacher",
    "shield": "role",
    "shopping-cart": "order",
    "sitemap": "department",
    "star": "review",
    "truck": "supplier vendor",
    "truck-delivery": "delivery shipment",
    "user": "member person",
    "user-circle": "account",
    "users": "client customer team",
    "versions": "variant",
    "writing": "author",
}
"""Words that are not the name of an icon, by the icon of Tabler that they have."""
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
