"""Data layer, HTML pages and JSON API of a model, from one class.

`class Books(Crud[Book])` declares who may read and write which rows, and the search, filters and order of lists.
`CrudPages` and `CrudApi` derive pages and an API from it. Each of their methods can be overridden.
"""

from opportune.crud.api import CrudApi
from opportune.crud.choices import find_rows, reference_choices
from opportune.crud.crud import Crud
from opportune.crud.filters import filter_by
from opportune.crud.latest import LatestRows, latest_rows
from opportune.crud.options import Permission
from opportune.crud.pages import CrudPages
from opportune.crud.routes import reading, writing

__all__ = [
    "Crud",
    "CrudApi",
    "CrudPages",
    "LatestRows",
    "Permission",
    "filter_by",
    "find_rows",
    "latest_rows",
    "reading",
    "reference_choices",
    "writing",
]
