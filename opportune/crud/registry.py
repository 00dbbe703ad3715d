"""Registry of the `Crud` classes by model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opportune.crud.crud import Crud

cruds: "dict[type[Any], type[Crud[Any]]]" = {}
"""The first `Crud` class of each model. Its rules apply when rows of other models show or refer to its rows."""
