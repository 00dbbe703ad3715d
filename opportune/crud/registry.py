"""The data layers of a process, by model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opportune.crud.crud import Crud

cruds: "dict[type[Any], type[Crud[Any]]]" = {}
"""The first class that is declared for a model decides which of its rows and fields a user may see elsewhere."""
