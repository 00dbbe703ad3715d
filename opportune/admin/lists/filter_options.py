"""The filter for each option of a view, such as a column or a relationship."""

from dataclasses import replace
from typing import Any

from sqladmin.filters import ForeignKeyFilter, OperationColumnFilter

from opportune.admin.base import BaseAdminView
from opportune.admin.forms.foreign_keys import ForeignKeyLookup, ManyToManyLookup
from opportune.admin.lists.filters import EMPTY, NULL_CHOICE, ChoiceFilter, ListFilter, LookupFilter, TextFilter
from opportune.admin.lists.range_filter import RangeFilter
from opportune.admin.sqladmin_adapter import property_name
from opportune.crud.types import ORDERED_TYPES
from opportune.db.models.columns import (
    choice_label,
    choice_value,
    choices_of,
    label_of,
    many_to_many_of,
    python_type_of,
    references_of,
)
from opportune.db.queries.paths import AttributePath, column_of_relation, parse_path
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy
from opportune.i18n import gettext_lazy as _l

YES_NO = {"true": (True, _l("Yes")), "false": (False, _l("No"))}


def filter_for(view: BaseAdminView, option: Any) -> Any:
    """Return the filter for an option. Two filters of SQLAdmin are replaced, because they load all rows or fail."""
    if isinstance(option, OperationColumnFilter):
        option = option.column
    if isinstance(option, ForeignKeyFilter):
        option = option.foreign_key
    if hasattr(option, "lookups"):
        option.title = gettext_lazy(option.title)
        return option
    name = property_name(option)
    path = parse_path(view.mapper, name)
    column = column_of_relation(path.end, path.name)
    parameter = name if path.relations else column
    title = view.labels.get(parameter, label_of(parameter))
    path_to_column = replace(path, name=column)
    lookup_filter = _lookup_filter(view, path_to_column, parameter, title)
    return lookup_filter or _column_filter(view, path_to_column, parameter, title)


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
    if values := choices_of(path.end.class_, path.name):
        choices = {choice_value(value): (value, choice_label(value)) for value in values}
        empty = {NULL_CHOICE: (None, EMPTY)} if column.nullable else {}
        return ChoiceFilter(path, parameter, title, choices=choices | empty)
    type_ = python_type_of(column)
    if type_ is bool:
        return ChoiceFilter(path, parameter, title, choices=YES_NO, can_exclude=False)
    if issubclass(type_, ORDERED_TYPES):
        return RangeFilter(path, parameter, title, type_=type_)
    return TextFilter(path, parameter, title)
