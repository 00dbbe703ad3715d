"""Labels of fields and models, and titles of rows."""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import inspect

from opportune.i18n import LazyText, format_lazy, gettext_lazy
from opportune.i18n.translation import DerivedLabel

IRREGULAR_LABELS = {"id": "ID", "email": "E-mail", "url": "URL"}
ACRONYMS = re.compile(
    "ag|ai|api|bic|csv|dns|ean|gps|html|iban|id|ip|isbn|issn|json|llm|mcp|pdf|rss|sku|totp|ui|url|uuid|vat"
)
"""Words of names that labels write in capitals."""


@lru_cache(4096)
def label_of(name: str, *, is_reference: bool = True) -> LazyText:
    """Return the label of a column: `owner_id` is "Owner", `is_active` is "Active", `api_key` is "API key".

    Pages translate it. A column that is no reference keeps its "id".
    """
    if name in IRREGULAR_LABELS:
        return LazyText(IRREGULAR_LABELS[name])
    words = name.removeprefix("is_").removesuffix("_id" if is_reference else "") or name
    parts = words.replace(".", " ").replace("_", " ").split()
    words = " ".join(part.upper() if ACRONYMS.fullmatch(part) else part for part in parts)
    return DerivedLabel(words[:1].upper() + words[1:])


def label_of_class(class_: type[Any]) -> LazyText:
    """Return the name of a model or of its data layer: `BookOrder` is "Book order", `APIKey` is "API key"."""
    words = re.split(r"_|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", class_.__name__)
    return label_of("_".join(word if word[1:].isupper() else word.lower() for word in words))


def label_of_field(model: type[Any], name: str) -> LazyText:
    """Return the title of a field, or the label of its name. Only foreign keys lose their "id"."""
    info = getattr(model, "model_fields", {}).get(name)
    mapper = inspect(model, raiseerr=False)
    if info and info.title:
        return gettext_lazy(info.title)
    is_value = mapper is not None and name in mapper.columns and not mapper.columns[name].foreign_keys
    return label_of(name, is_reference=not is_value)


def title_of(row: Any) -> str:
    """Return `str(row)` if its model defines `__str__`, else or if it is empty, the model's label and the key."""
    model: Any = type(row)
    if _has_name_method(model) and (title := str(row)).strip():
        return title
    return title_of_key(model, " ".join(map(str, inspect(model).primary_key_from_instance(row))))


def title_of_key(model: Any, key: object) -> str:
    """Return the label of the model and the primary key, for rows without a name."""
    return format_lazy("%(model)s %(key)s", model=label_of_class(model), key=key)


@cache
def _has_name_method(model: Any) -> bool:
    return name_method(model) is not None


def name_method(model: type[Any]) -> Any:
    """Return the `__str__` of the model or of its base classes in the project, or None."""
    return next((vars(class_)["__str__"] for class_ in declaring_classes(model) if "__str__" in vars(class_)), None)


def declaring_classes(model: type[Any]) -> Iterator[type[Any]]:
    """Return the model and its base classes, without those of Pydantic and SQLModel."""
    return (cls for cls in model.__mro__ if cls.__module__.split(".")[0] not in ("builtins", "pydantic", "sqlmodel"))
