"""Choices of foreign key fields, limited to the rows that the user may choose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from sqlalchemy import Select, func, inspect, select

from opportune.crud.crud import Crud
from opportune.crud.declaration import shape_of
from opportune.crud.formats import names_of
from opportune.crud.schema_fields import title_candidates
from opportune.db.models.labels import label_of_class
from opportune.db.models.references import reference_of
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.controls import RowChoices
from opportune.web.forms.form_state import Choices
from opportune.web.forms.forms import SEARCH_SUFFIX, Form

MAX_ROWS_OF_SELECT = 50
"""Maximum number of rows in a select. If there are more, the user searches them."""
MAX_SEARCH_RESULTS = 20
NOT_VISIBLE = _l("Number %(number)s (you may not see it)")
CHOOSE_RESULT = _l("Choose one of the results, then save.")

AddUrl = Callable[[Crud[Any], type[Any]], str]
"""Function that returns the URL of the form for a new row. Empty if the user may not add one."""
_references: WeakKeyDictionary[type[BaseModel], Mapping[str, type[Any]]] = WeakKeyDictionary()


def references_in(schema: type[BaseModel]) -> Mapping[str, type[Any]]:
    """Return the fields of a schema that refer to rows, with the models of the rows."""
    if schema not in _references:
        references = ((name, reference_of(info)) for name, info in schema.model_fields.items())
        _references[schema] = {name: reference.model for name, reference in references if reference}
    return _references[schema]


async def reference_choices(
    crud: Crud[Any],
    form: Form[Any],
    *,
    lookup_url: str = "",
    add_url: AddUrl | None = None,
    only: Sequence[str] | None = None,
) -> Choices:
    """Return the choices of a form's foreign key fields.

    Args:
        crud: The data layer of the user.
        form: The form, whose current values are always among the choices.
        lookup_url: URL that returns `find_rows` for the field `?name=` and the words `?term=`. Without it, the form
            only offers the first rows.
        add_url: Function that returns the URL of the form for a new row of a model.
        only: Names of the fields, by default all.

    Returns:
        The choices by field, for `form.offer(...)`.
    """
    models = {name: model for name, model in references_in(form.model).items() if only is None or name in only}
    return {name: await _row_choices(crud, form, name, model, lookup_url, add_url) for name, model in models.items()}


async def find_rows(crud: Crud[Any], model: type[Any], term: str) -> list[dict[str, str]]:
    """Return the first rows whose title contains all words, for a field that searches while the user types.

    Args:
        crud: The data layer of the user.
        model: The model to search.
        term: The words.

    Returns:
        Up to 20 mappings with `id` and `text`.
    """
    searched_paths = [AttributePath((), inspect(model), name) for name in _title_columns(crud, model)]
    narrowed = await narrow_search(crud.session, searched_paths, term)
    rows = _choosable_rows(crud, model).where(*matching_words(searched_paths, term), *narrowed)
    names = await _read_names(crud, rows, MAX_SEARCH_RESULTS)
    return [{"id": str(row_id), "text": name} for row_id, name in names.items()]


async def _row_choices(
    crud: Crud[Any], form: Form[Any], name: str, model: type[Any], lookup_url: str, add_url: AddUrl | None
) -> RowChoices:
    names = await _read_names(crud, _choosable_rows(crud, model), MAX_ROWS_OF_SELECT + 1)
    has_all = len(names) <= MAX_ROWS_OF_SELECT
    if not has_all:
        names.popitem()  # the row that only shows that there are more
        if words := form.value(name + SEARCH_SUFFIX):  # a browser without JavaScript sends the words with the form
            names = {int(row["id"]): row["text"] for row in await find_rows(crud, model, words)}
            form.refuse(CHOOSE_RESULT if names else gettext("Nothing matches “%(words)s”.", words=words), name)
    selected = [row_id for row_id in form.selected_ids(name) if row_id not in names]
    if selected:
        visible = await _read_names(crud, _choosable_rows(crud, model).where(model.id.in_(selected)), len(selected))
        names |= {row_id: visible.get(row_id) or gettext(NOT_VISIBLE, number=row_id) for row_id in selected}
    return RowChoices(
        names,
        lookup_url="" if has_all else lookup_url,
        add_url=add_url(crud, model) if add_url else "",
        add_label=gettext("Add %(name)s", name=lower_name(label_of_class(model))),
    )


def _choosable_rows(crud: Crud[Any], model: type[Any]) -> Select[Any]:
    titles = [func.lower(getattr(model, name)) for name in _title_columns(crud, model)[:1]]
    return select(model).where(crud.choosable(model)).order_by(*titles, model.id)


def _title_columns(crud: Crud[Any], model: type[Any]) -> list[str]:
    hidden = crud.hidden_names_of(model)
    return [name for name in title_candidates(shape_of(model)) if name not in hidden]


async def _read_names(crud: Crud[Any], query: Select[Any], count: int) -> dict[int, str]:
    rows = (await crud.session.scalars(query.limit(count))).all()
    return dict(zip((row.id for row in rows), await names_of(crud.session, rows), strict=True))
