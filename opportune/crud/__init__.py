"""A model's rows as a data layer, as pages and as JSON, from one short declaration.

`class Books(Crud[Book])` says who may read and write which rows and what a list can be asked; pages and API are made of
it, and each of its methods can be replaced.
"""

from opportune.crud.access import Access
from opportune.crud.api import CrudApi
from opportune.crud.choices import find_rows, reference_choices
from opportune.crud.crud import Crud
from opportune.crud.dependencies import reading, writing
from opportune.crud.filters import filter_by
from opportune.crud.pages import CrudPages

__all__ = [
    "Access",
    "Crud",
    "CrudApi",
    "CrudPages",
    "filter_by",
    "find_rows",
    "reading",
    "reference_choices",
    "writing",
]
