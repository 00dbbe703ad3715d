"""Hint for attributes that were not loaded with their row. Async SQLAlchemy does not support lazy loading."""

import re
import traceback
from typing import Any, NamedTuple

from fastapi.exceptions import ResponseValidationError
from sqlalchemy import inspect
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.orm import RelationshipProperty
from sqlalchemy.orm.exc import DetachedInstanceError

from opportune.web.errors.habits import ErrorHint

DETACHED = re.compile(r"Parent instance <(\w+) .*lazy load operation of attribute '(\w+)'")
LAZY_LOADING = re.compile("MissingGreenlet|DetachedInstanceError")


class UnloadedAttribute(NamedTuple):
    model: str
    name: str
    is_relationship: bool


def lazy_load_hint(error: BaseException) -> ErrorHint | None:
    """Return the hint for an attribute that was not loaded; None for other errors."""
    attribute = _attribute_of_response(error)
    # SQLAlchemy wraps errors of the driver. Only the traceback of the wrapper contains the access to the attribute.
    if not attribute and not isinstance(getattr(error, "orig", error), DetachedInstanceError | MissingGreenlet):
        return None
    title = "An attribute was not loaded with its row"
    if attribute is None:
        match = DETACHED.match(str(error))
        attribute = UnloadedAttribute(match[1], match[2], is_relationship=True) if match else _accessed_attribute(error)
    if attribute is None:
        return ErrorHint(
            title,
            "Accessing it would run a query outside a session or in a template, where it cannot be awaited.",
            "Load everything that the page needs in the service, while the session is open.",
        )
    model, name, is_relationship = attribute
    if is_relationship:
        cause = f"{model}.{name} is a relationship, which is only loaded if the query asks for it."
        if (view := _admin_view(error)) is not None:
            return ErrorHint(title, cause, "Name it in the admin view:", _loading_option(view, model, name))
        code = f"from opportune.db import load\n\nselect({model}).options(load({model}.{name}))"
        return ErrorHint(title, cause, "Load it in the query:", code)
    cause = f"{model}.{name} was not loaded or has expired, and cannot be loaded without an await."
    return ErrorHint(title, cause, "Reload it while the session is open:", f'await session.refresh(row, ["{name}"])')


def _admin_view(error: BaseException) -> Any:
    """Return the admin view whose page, hook or action failed, or None."""
    values = (value for frame, _line in traceback.walk_tb(error.__traceback__) for value in frame.f_locals.values())
    return next((value for value in values if hasattr(type(value), "column_list") and hasattr(value, "load")), None)


def _loading_option(view: Any, model: object, name: object) -> str:
    """Return the code that loads a relationship of a model with each row of an admin view."""
    relations = inspect(view.model).relationships.items()
    paths = (f"{key}.{name}" for key, relation in relations if relation.mapper.class_.__name__ == model)
    path = name if view.model.__name__ == model else next(paths, name)
    return f"class {type(view).__name__}(AdminView, …):\n    load = {(*view.load, path)!r}"


def _attribute_of_response(error: BaseException) -> UnloadedAttribute | None:
    """Return the attribute that the response model of a route could not load.

    Pydantic keeps only the text of the error.
    """
    if isinstance(error, ResponseValidationError):
        for fault in error.errors():
            if fault["type"] == "get_attribute_error" and LAZY_LOADING.search(fault["msg"]):
                model = type(fault["input"])
                name = str(fault["loc"][-1])
                attribute = getattr(getattr(model, name, None), "property", None)
                return UnloadedAttribute(model.__name__, name, isinstance(attribute, RelationshipProperty))
    return None


def _accessed_attribute(error: BaseException) -> UnloadedAttribute | None:
    """Return the attribute from the frames of SQLAlchemy 2.1, whose `__get__` has `self` and `instance`."""
    accessed = None
    for frame, _line in traceback.walk_tb(error.__traceback__):
        variables = frame.f_locals
        if frame.f_code.co_name == "__get__" and "instance" in variables:
            attribute = variables.get("self")
            name = getattr(attribute, "key", None)
            is_relationship = isinstance(getattr(attribute, "property", None), RelationshipProperty)
            model = type(variables["instance"]).__name__
            accessed = UnloadedAttribute(model, name, is_relationship) if name else None
    return accessed
