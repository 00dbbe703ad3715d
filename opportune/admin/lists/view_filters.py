"""Filters of a view: made from its options, and applied to its list. Some are filters of SQLAdmin."""

from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from sqladmin.filters import ForeignKeyFilter, OperationColumnFilter
from sqlalchemy import Select
from starlette.datastructures import QueryParams

from opportune.admin.base import BaseAdminView
from opportune.admin.forms.foreign_keys import ForeignKeyLookup, ManyToManyLookup
from opportune.admin.lists.choice_filters import YES_NO, ChoiceFilter, TextChoiceFilter
from opportune.admin.lists.filters import EMPTY, NULL_CHOICE, ListFilter, LookupFilter, TextFilter
from opportune.admin.lists.range_filters import RangeFilter
from opportune.admin.sqladmin_adapter import property_name
from opportune.crud.types import ORDERED_TYPES
from opportune.db.models.choices import choice_label, choice_value, choices_of
from opportune.db.models.columns import is_json, is_text, many_to_many_of, python_type_of, references_of
from opportune.db.models.labels import label_of
from opportune.db.queries.paths import AttributePath, column_of_relation, parse_path
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy
from opportune.schemas.annotations import options_of


@runtime_checkable
class SqladminFilter(Protocol):
    """A filter of SQLAdmin, or of a project in its style."""

    title: str
    parameter_name: str
    get_filtered_query: Callable[..., Awaitable[Select[Any]]]
    """Adds the condition. Receives the statement, the operation (only with `has_operator`), the value and the model."""


AnyFilter = ListFilter | SqladminFilter


def filter_for(view: BaseAdminView, option: Any) -> AnyFilter:
    """Return the filter for an option: a column, its name, or a filter of SQLAdmin.

    Two filters of SQLAdmin are replaced, because they load all rows or fail.
    """
    if isinstance(option, OperationColumnFilter):
        option = option.column
    if isinstance(option, ForeignKeyFilter):
        option = option.foreign_key
    if isinstance(option, SqladminFilter):
        translated = copy(option)  # another view may have the same filter
        translated.title = gettext_lazy(option.title)
        return translated
    name = property_name(option)
    path = parse_path(view.mapper, name)
    column = column_of_relation(path.end, path.name)
    parameter = name if path.relations else column
    title = view.labels.get(parameter, label_of(parameter))
    arguments = view, replace(path, name=column), parameter, title
    return _lookup_filter(*arguments) or _column_filter(*arguments)


def _lookup_filter(view: BaseAdminView, path: AttributePath, parameter: str, title: str) -> LookupFilter | None:
    lookups = (ManyToManyLookup, many_to_many_of(path.end)), (ForeignKeyLookup, references_of(path.end))
    for lookup_class, models in lookups:
        if model := models.get(path.name):
            lookup = view.lookups.setdefault(parameter, lookup_class(path.name, model, view))
            return LookupFilter(path, parameter, title, lookup=lookup)
    return None


def _column_filter(view: BaseAdminView, path: AttributePath, parameter: str, title: str) -> ListFilter:
    column = path.end.columns.get(path.name)
    if column is None:
        raise OperatorError(f"{type(view).__name__}.column_filters: {parameter!r} cannot be filtered by.")
    if not is_json(column) and (values := choices_of(path.end.class_, path.name)):
        choices = {choice_value(value): (value, choice_label(value)) for value in values}
        empty = {NULL_CHOICE: (None, EMPTY)} if column.nullable else {}
        return ChoiceFilter(path, parameter, title, choices=empty | choices)  # a value may have this name
    field = getattr(path.end.class_, "model_fields", {}).get(path.name)
    if is_text(column) and field and (options := options_of(field)).has_choices:
        return TextChoiceFilter(path, parameter, title, options=options)
    type_ = python_type_of(column)
    if type_ is bool:
        return ChoiceFilter(path, parameter, title, choices=YES_NO, can_exclude=False)
    if issubclass(type_, ORDERED_TYPES):
        return RangeFilter(path, parameter, title, type_=type_)
    return TextFilter(path, parameter, title)


def has_operator(filter_: AnyFilter) -> bool:
    """Return whether a filter, possibly one of SQLAdmin, also reads the parameter `…_op`."""
    return bool(getattr(filter_, "has_operator", False))


def parameters_of(filter_: AnyFilter) -> Sequence[str]:
    """Return the query parameters of a filter, possibly one of SQLAdmin."""
    if isinstance(filter_, ListFilter):
        return filter_.parameters
    name = filter_.parameter_name
    return (name, f"{name}_op") if has_operator(filter_) else (name,)


async def apply_filter(statement: Select[Any], filter_: AnyFilter, query: QueryParams, model: type[Any]) -> Select[Any]:
    """Return the statement with the condition of a filter, possibly one of SQLAdmin."""
    if isinstance(filter_, ListFilter):
        condition = filter_.condition(query)
        return statement if condition is None else statement.where(condition)
    name = filter_.parameter_name
    value = query.get(name, "")
    if has_operator(filter_):
        return await filter_.get_filtered_query(statement, query.get(f"{name}_op", ""), value, model)
    return await filter_.get_filtered_query(statement, value, model) if value else statement
