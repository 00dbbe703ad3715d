"""Declaration of rows of another model that are edited in the form of the row they refer to."""

from dataclasses import dataclass
from typing import Any

from pydantic import NonNegativeInt

from opportune.errors.option_names import strict
from opportune.errors.option_types import Names

INLINES_KEY = "(inlines)"
"""Key of the tables among the values of a form. No column has this name."""


@strict
@dataclass(frozen=True)
class Inline:
    """Rows of another model in a form. The view of that model defines the rules and permissions.

    inlines = (Inline(Seat, "event_id", ("name", "price"), sortable="position"),)
    """

    model: type[Any]
    by: str
    """Foreign key column that refers to the row of the form."""
    columns: Names
    """Columns to edit, including all columns that a new row requires."""
    extra: NonNegativeInt = 2
    """Number of empty lines for new rows on pages without JavaScript, which have no button to add a line."""
    sortable: str = ""
    """Column of whole numbers with the position of a row. Users move the rows, and the form stores the positions."""
