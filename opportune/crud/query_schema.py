"""Query parameters of lists: search, filters, order and page."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from opportune.crud.options import CrudOptions
from opportune.db.models.soft_delete import SoftDelete
from opportune.pagination import Paging, SortBy
from opportune.schemas.annotations import FieldOptions
from opportune.schemas.text import Line

MAX_FILTER_VALUES = 100
CURSOR = "cursor"
"""Query parameter of large lists with the row at which a page begins or ends."""
RESERVED = {*Paging.model_fields, "q", CURSOR}
LANGUAGES = "languages"
"""Query parameter of models with translated fields: `all` returns objects with the texts by language."""
Languages = Literal["all"] | None
TRASH_PARAMETER = "deleted"
"""Query parameter of lists of `SoftDelete` models, which lists the trash."""


def make_filter_schema(
    prefix: str, fields: Mapping[str, tuple[Any, Any]], options: type[CrudOptions], *, is_translated: bool
) -> type[Paging]:
    """Return the schema of a list's query: search, filters, order and page."""
    search = (Annotated[Line, FieldOptions(type="search")], Field("", max_length=200, title="Search"))
    parameters: dict[str, Any] = {**({"q": search} if options.search else {}), **fields}
    if issubclass(options.model, SoftDelete):
        parameters[TRASH_PARAMETER] = (bool, Field(default=False, title="In the trash"))
    if is_translated and LANGUAGES not in fields:
        parameters[LANGUAGES] = (Languages, Field(None, title="Languages"))
    parameters["sort"] = (Annotated[str, SortBy(*options.sort)], "")
    parameters[CURSOR] = (str, Field("", max_length=100, title="Cursor"))
    return create_model(f"{prefix}Filter", __base__=Paging, __module__=__name__, **parameters)
