"""Icons of models, guessed from their names: `Book` has a book, `OrderItem` a shopping cart."""

import re
from functools import lru_cache
from typing import Any

from opportune.web.static.icons import unknown_icon_message

ICON_BY_WORD = {
    "account": "user-circle",
    "album": "disc",
    "appointment": "calendar-event",
    "article": "article",
    "asset": "box",
    "author": "writing",
    "booking": "calendar-check",
    "city": "building-community",
    "client": "users",
    "comment": "message",
    "company": "building",
    "contract": "file-text",
    "country": "flag",
    "course": "school",
    "customer": "users",
    "delivery": "truck-delivery",
    "department": "sitemap",
    "document": "file-text",
    "employee": "id-badge-2",
    "event": "calendar-event",
    "expense": "cash",
    "image": "photo",
    "invitation": "mail",
    "invoice": "file-invoice",
    "item": "package",
    "job": "briefcase",
    "lesson": "school",
    "maker": "building-factory-2",
    "meeting": "calendar-event",
    "member": "user",
    "movie": "movie",
    "note": "note",
    "order": "shopping-cart",
    "patient": "heartbeat",
    "payment": "credit-card",
    "person": "user",
    "place": "map-pin",
    "post": "article",
    "price": "currency-dollar",
    "product": "package",
    "project": "folder",
    "question": "help-circle",
    "recipe": "chef-hat",
    "reservation": "calendar-check",
    "review": "star",
    "role": "shield",
    "room": "door",
    "shipment": "truck-delivery",
    "shop": "building-store",
    "song": "music",
    "store": "building-store",
    "student": "school",
    "supplier": "truck",
    "task": "checkbox",
    "teacher": "school",
    "team": "users",
    "topic": "hash",
    "track": "music",
    "transaction": "arrows-exchange",
    "variant": "versions",
    "vehicle": "car",
    "vendor": "truck",
    "warehouse": "building-warehouse",
}
"""Tabler's icon for words that are not the name of an icon."""


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
    known = (icon for icon in (*candidates, letter) if not unknown_icon_message(icon))
    return next(known, "table")
