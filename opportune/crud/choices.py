"""Choices of fields that point at rows, limited to the rows the user may choose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from sqlalchemy import Select, func, inspect, select

from opportune.crud.crud import Crud
from opportune.crud.declaration import shape_of
from opportune.crud.display import names_of
from opportune.crud.schemas import short_texts
from opportune.db.models.columns import label_of
from opportune.db.models.references import reference_of
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import Path
from opportune.web.forms.fields import RowChoices
from opportune.web.forms.forms import SEARCH_SUFFIX, Choices, Form

MAX_ROWS_OF_SELECT = 50
"""Rows up to which a select has all of them, and the number it has otherwise."""
MAX_FOUND_ROWS = 20
NOT_VISIBLE = "Number {} (you may not see it)"
CHOOSE_ONE_FOUND = "Choose from those that were found, then save."

AddUrl = Callable[[Crud[Any], type[Any]], str]
"""Return the address of the form of a new row, or nothing for users who may not add one."""


_references: WeakKeyDictionary[type[BaseModel], Mapping[str, type[Any]]] = WeakKeyDictionary()


def references_in(schema: type[BaseModel]) -> Mapping[str, type[Any]]:
    """Return the fields of a schema that point at rows, with the models of the rows."""
    if schema not in _references:
        found = ((name, reference_of(info)) for name, info in schema.model_fields.items())
        _references[schema] = {name: reference.model for name, reference in found if reference}
    return _references[schema]


async def reference_choices(
    crud: Crud[Any], form: Form[Any], *, lookup_url: str = "", add_url: AddUrl | None = None, only: Sequence[str] = ()
) -> Choices:
    """Return the choices of a form's fields that point at rows, for `form.offer`.

    Args:
        crud: The data layer with the user who chooses.
        lookup_url: Address that returns `find_rows` for the field `?name=` and the words `?term=`. Without it the form
            offers the first rows only.
        only: Fields, if the page does not show all.
    """
    wanted = {name: model for name, model in references_in(form.model).items() if not only or name in only}
    return {name: await _offer(crud, form, name, model, lookup_url, add_url) for name, model in wanted.items()}


async def find_rows(crud: Crud[Any], model: type[Any], term: str) -> list[dict[str, str]]:
    """Return the first rows that match these words, for a field that searches while the user types."""
    searched = [Path((), inspect(model), name) for name in _searched(crud, model)]
    rows = _choosable(crud, model).where(*matching_words(searched, term))
    names = await _names(crud, rows, MAX_FOUND_ROWS)
    return [{"id": str(number), "text": name} for number, name in names.items()]


async def _offer(
    crud: Crud[Any], form: Form[Any], name: str, model: type[Any], lookup_url: str, add_url: AddUrl | None
) -> RowChoices:
    names = await _names(crud, _choosable(crud, model), MAX_ROWS_OF_SELECT + 1)
    are_all = len(names) <= MAX_ROWS_OF_SELECT
    if not are_all:
        del names[next(reversed(names))]
        if words := form.value(name + SEARCH_SUFFIX):
            names = {int(row["id"]): row["text"] for row in await find_rows(crud, model, words)}
            form.refuse(CHOOSE_ONE_FOUND if names else f"Nothing matches “{words}”.", name)
    if unnamed := [number for number in form.chosen_ids(name) if number not in names]:
        known = await _names(crud, _choosable(crud, model).where(model.id.in_(unnamed)), len(unnamed))
        names |= {number: known.get(number, NOT_VISIBLE.format(number)) for number in unnamed}
    return RowChoices(
        names,
        "" if are_all else lookup_url,
        add_url(crud, model) if add_url else "",
        f"Add {label_of(model.__name__).lower()}",
    )


def _choosable(crud: Crud[Any], model: type[Any]) -> Select[Any]:
    titles = [func.lower(getattr(model, name)) for name in _searched(crud, model)[:1]]
    return select(model).where(crud.choosable(model)).order_by(*titles, model.id)


def _searched(crud: Crud[Any], model: type[Any]) -> list[str]:
    hidden = crud.hidden_in(model)
    return [name for name in short_texts(shape_of(model)) if name not in hidden]


async def _names(crud: Crud[Any], query: Select[Any], count: int) -> dict[int, str]:
    rows = (await crud.session.scalars(query.limit(count))).all()
    return dict(zip((row.id for row in rows), await names_of(crud.session, rows), strict=True))
