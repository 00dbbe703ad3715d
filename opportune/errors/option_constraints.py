"""Constraints of options, which their annotations name in addition to a type."""

from collections.abc import Sequence
from inspect import iscoroutinefunction
from typing import Annotated, Any

from pydantic import AfterValidator

from opportune.errors.option_types import shortened


def _refuse_repeated(names: Sequence[Any]) -> Sequence[Any]:
    """Raise ValueError for a name that occurs twice, also in groups with a heading: `(("Book", ("title",)),)`."""
    texts = [str(name) for item in names for name in (item[1] if isinstance(item, tuple) else (item,))]
    if repeated := next((name for name in texts if texts.count(name) > 1), ""):
        raise ValueError(f"names {repeated} twice. Remove one.")
    return names


def _require_asynchronous(function: Any) -> Any:
    if not iscoroutinefunction(function):
        raise ValueError(f"needs a function that begins with async def, not {shortened(function)}")
    return function


def having(description: str, *attributes: str) -> AfterValidator:
    """Return a validator of objects that have one of these attributes, such as columns of models."""

    def require_attribute(value: Any) -> Any:
        if not any(hasattr(value, attribute) for attribute in attributes):
            raise ValueError(f"needs {description}, not {shortened(value)}")
        return value

    return AfterValidator(require_attribute)


ASYNCHRONOUS = AfterValidator(_require_asynchronous)
DISTINCT = AfterValidator(_refuse_repeated)
Names = Annotated[Sequence[str], DISTINCT]
"""Names of columns, fields or routes, each one once."""
