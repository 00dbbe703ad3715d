"""Registry of the `Crud` classes by model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opportune.crud.crud import Crud

cruds: "dict[type[Any], type[Crud[Any]]]" = {}
"""The first class of a model decides which of its rows and fields a user may see through other models."""
