"""Checks the column names in the options of views. An unknown name stops the start with a message of one line."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Annotated, Any

from sqlalchemy import Integer, inspect
from sqlalchemy.orm import Mapper

from opportune.admin.sqladmin_adapter import class_of, written_name
from opportune.crud.declaration import secret_name_message, unknown_name_message
from opportune.db.models.columns import python_type_of, references_of
from opportune.db.queries.paths import AttributePath, column_of_relation, parse_path
from opportune.errors import OperatorError
from opportune.errors.option_constraints import DISTINCT
from opportune.errors.option_names import find_misspelt
from opportune.errors.option_types import describe_mismatch
from opportune.errors.renamed_names import ADMIN_VIEW
from opportune.errors.suggestions import MIN_MISSPELT_SIMILARITY
from opportune.fields.files import file_columns_of

DISPLAY_OPTIONS = ("column_list", "column_choices", "column_details_list", "column_export_list")
LOOSE_OPTIONS = (
    "column_exclude_list", "column_details_exclude_list", "column_export_exclude_list", "column_import_exclude_list",
    "column_formatters", "column_formatters_detail", "column_labels",
    "fieldsets", "form_excluded_columns", "non_link_related_fields",
)  # fmt: skip
"""Options that accept computed columns and other attributes of the model."""
SORT_OPTIONS = ("column_sortable_list", "column_default_sort")
SEARCH_OPTIONS = ("column_searchable_list",)
FILTER_OPTIONS = ("column_filters",)
FORM_OPTIONS = (
    "column_import_list", "editable", "readonly", "readonly_after_create",
    "form_columns", "form_args", "form_overrides", "form_widget_args", "form_ajax_refs",
    "form_rules", "form_create_rules", "form_edit_rules",
)  # fmt: skip
COLUMN_OPTIONS = ("file_columns", "prepopulated", "show_when")
DATE_OPTIONS = ("date_hierarchy",)
LOAD_OPTIONS = ("load",)
SEQUENCE_OPTIONS = (*DISPLAY_OPTIONS, *SEARCH_OPTIONS, *FILTER_OPTIONS, *FORM_OPTIONS, "column_sortable_list", "load")
"""Options with several names, which a text without a comma is not."""
RENAMED_OPTIONS = {
    **ADMIN_VIEW,
    **dict.fromkeys(("form_class", "related_fields", "save_related"), "_form_extension"),
    **dict.fromkeys(("delete_rows", "row_writer"), "_writer"),
    "list_display": "columns",
    "list_editable": "editable",
    "list_filter": "filters",
    "ordering": "order",
    "prepopulated_fields": "prepopulated",
    "readonly_fields": "readonly",
    "search_fields": "search",
    "list_per_page": "page_size",
    "list_select_related": "load",
    "exclude": "form_excluded_columns",
    "verbose_name": "name",
    "get_queryset": "list_query",
    "save_model": "on_model_change",
    "delete_model": "on_model_delete",
    "has_add_permission": "can_create",
    "has_change_permission": "can_edit",
    "has_delete_permission": "can_delete",
}
"""Options by their names in Django's admin and in earlier versions."""
SECRET_FREE_OPTIONS = {*DATE_OPTIONS, *DISPLAY_OPTIONS, *SORT_OPTIONS, *SEARCH_OPTIONS, *FILTER_OPTIONS, *FORM_OPTIONS}


def shared_identities(views: Iterable[Any]) -> Iterator[str]:
    """Yield a line for each view whose URL another view already has."""
    views_by_identity: dict[str, Any] = {}
    for view in views:
        if view.identity in views_by_identity:
            names = f"{_name_of(views_by_identity[view.identity])} and {_name_of(view)}"
            yield f"{names} both have the address /admin/{view.identity}: set identity=… in one of them."
        if view.identity:
            views_by_identity[view.identity] = view


def inlines_without_view(views: Sequence[Any]) -> Iterator[str]:
    """Yield a line for each inline whose model has no view, which would define its rules and permissions."""
    models = {view.model for view in views}
    for view in views:
        for name in (inline.model.__name__ for inline in view.inlines or () if inline.model not in models):
            yield f"{_name_of(view)}.inlines: {name} has no view. Add {name}Admin(AdminView, model={name})."


def option_faults(view: Any, base: type[Any]) -> Iterator[str]:
    """Yield a line for each unknown name of a view or its class. `base` is the class with the defaults."""
    owner = _name_of(view)
    mapper = inspect(view.model)
    if shape_faults := [f"{owner}.{fault}" for fault in _shape_faults(view, base)]:
        yield from shape_faults  # other checks would read single letters as names
        return
    yield from _unknown_names(view, base)
    if view.crud and view.crud.model is not view.model:
        yield f"{owner}.crud: {view.crud.__name__} is for {view.crud.model.__name__}, not for {view.model.__name__}."
    yield from (f"{owner}.editable: {fault}" for fault in _editable_faults(view, mapper))
    inlines = view.inlines or ()
    yield from (f"{owner}.inlines: {fault}" for inline in inlines for fault in _inline_faults(mapper, inline))
    if view.show_when.keys() <= {*mapper.columns.keys()}:  # unknown names have their own message
        yield from (f"{owner}.show_when: {fault}" for fault in _conditional_faults(view.show_when, mapper))
    yield from find_misspelt(class_of(view), base, MIN_MISSPELT_SIMILARITY, RENAMED_OPTIONS)


def _unknown_names(view: Any, base: type[Any]) -> Iterator[str]:
    """Yield a line for each unknown name in the options that the view sets."""
    mapper = inspect(view.model)
    for options, check in CHECKS:
        for option in options:
            value = getattr(view, option)
            if value is not getattr(base, option) and value != "__all__":
                faults = (_name_fault(view, mapper, option, name, check) for name in _names_in_option(option, value))
                yield from (f"{_name_of(view)}.{written_name(view, option)}: {fault}" for fault in faults if fault)


def _shape_faults(view: Any, base: type[Any]) -> Iterator[str]:
    """Yield a message for each option that is not a tuple, or not a name where one is expected."""
    for option in (*SEQUENCE_OPTIONS, *LOOSE_OPTIONS):
        names: Any = Annotated[Sequence[Any], DISTINCT] if option in SEQUENCE_OPTIONS else Sequence[Any]
        value = getattr(view, option)
        type_ = Mapping if isinstance(getattr(base, option), Mapping) else names
        if value != "__all__" and (mismatch := describe_mismatch(value, type_)):
            yield f"{written_name(view, option)} {mismatch}"


def names_of_hook(view: Any, method: str, names: Iterable[Any]) -> dict[str, None]:
    """Return the column names that a hook such as `get_fields` has returned, in order and without duplicates.

    Raises:
        OperatorError: A name does not exist, so the hook would protect nothing.
    """
    columns = dict.fromkeys(map(view.names.of, names))
    for name in columns.keys() - {*view.names.in_form, *view.readonly_names}:
        if fault := _name_fault(view, view.mapper, "form_columns", name, _form_fault):
            raise OperatorError(f"{_name_of(view)}.{method}: {fault}")
    return columns


def list_column_fault(view: Any, name: str) -> str:
    return _name_fault(view, inspect(view.model), "column_list", name, _path_fault)


def filtered_name(parameter: str) -> str:
    """Return the name of the column that a parameter such as `price__gte` filters by."""
    return re.sub("(_op|__gte|__lte)$", "", parameter)


def filter_fault(view: Any, parameter: str) -> str:
    """Return a message if the list of a view has no such filter."""
    name = filtered_name(parameter)
    mapper = inspect(view.model)
    names = [str(getattr(item, "parameter_name", getattr(item, "key", item))) for item in view.column_filters]
    if not names or name in names or name in [column_of_relation(mapper, listed) for listed in names]:
        return _path_fault(mapper, name)
    return f"{name!r} is not in {_name_of(view)}.{written_name(view, 'column_filters')}."


def _name_of(view: Any) -> str:
    return class_of(view).__name__


def _names_in_option(option: str, value: Any) -> Iterator[str]:
    """Yield the column names in the value of an option. Filter objects are skipped."""
    if option == "fieldsets":
        value = [name for _, names in value for name in names]
    elif option == "show_when":
        value = [*value, *(name for conditions in value.values() for name in conditions)]
    elif option == "prepopulated":
        value = [*value.keys(), *value.values()]
    elif option in DATE_OPTIONS or (option == "column_default_sort" and not isinstance(value, list)):
        value = [value]
    for item in value:
        name = item[0] if isinstance(item, tuple) else item
        if isinstance(name, str):
            yield name
        elif not hasattr(name, "parameter_name"):
            yield str(getattr(name, "key", name))


Check = Callable[[Mapper[Any], str], str]


def _name_fault(view: Any, mapper: Mapper[Any], option: str, name: str, check: Check) -> str:
    if option in FORM_OPTIONS and (name in view._form_extension.names or hasattr(view.form, name)):
        return ""
    if option in SECRET_FREE_OPTIONS and (fault := secret_name_message(name)):
        return fault
    computed = {*view.column_formatters, *view.column_formatters_detail, *view._form_extension.names}
    if option in (*DISPLAY_OPTIONS, *LOOSE_OPTIONS) and (name in computed or hasattr(view.model, name)):
        return ""
    return check(mapper, name)


def _path_fault(mapper: Mapper[Any], name: str, check: Callable[[str, AttributePath], str] | None = None) -> str:
    try:
        path = parse_path(mapper, name)
    except LookupError as error:
        target, missing = error.args
        return unknown_name_message(target.class_, missing, [*target.columns.keys(), *target.relationships.keys()])
    return check(name, path) if check else ""


def _sort_fault(name: str, path: AttributePath) -> str:
    relation = path.end.relationships.get(path.name)
    has_many = path.leads_to_many or (relation is not None and relation.uselist)
    return f"{name!r} has several values in a row, so lists cannot be sorted by it." if has_many else ""


def _search_fault(name: str, path: AttributePath) -> str:
    if path.name in path.end.columns:
        return ""
    columns = path.end.relationships[path.name].mapper.columns
    example = next((column for column in ("name", "title") if column in columns), next(iter(columns.keys())))
    return f"{name!r} is a relationship. Name a column of it, such as '{name}.{example}'."


def _load_fault(name: str, path: AttributePath) -> str:
    return "" if path.name in path.end.relationships else f"{name!r} is a column. Name relationships."


def _form_fault(mapper: Mapper[Any], name: str) -> str:
    if "." in name:
        return f"{name!r} is a column of a related row, which forms cannot edit."
    if fault := _path_fault(mapper, name):
        return fault
    relation = mapper.relationships.get(name)
    if relation is None or relation.secondary is not None or column_of_relation(mapper, name) != name:
        return ""
    return f"{name!r} is a relationship to rows that refer to this one. Edit them as inlines."


def _column_fault(mapper: Mapper[Any], name: str) -> str:
    return "" if name in mapper.columns else unknown_name_message(mapper.class_, name, mapper.columns.keys())


def _date_fault(mapper: Mapper[Any], name: str) -> str:
    if fault := _column_fault(mapper, name):
        return fault
    dates = [key for key, column in mapper.columns.items() if issubclass(python_type_of(column), date)]
    example = f" Name a date or time, such as {dates[-1]!r}." if dates else ""
    return "" if name in dates else f"{name!r} is not a date or time.{example}"


CHECKS: tuple[tuple[tuple[str, ...], Check], ...] = (
    ((*DISPLAY_OPTIONS, *LOOSE_OPTIONS, *FILTER_OPTIONS), _path_fault),
    (SORT_OPTIONS, partial(_path_fault, check=_sort_fault)),
    (SEARCH_OPTIONS, partial(_path_fault, check=_search_fault)),
    (FORM_OPTIONS, _form_fault),
    (COLUMN_OPTIONS, _column_fault),
    (DATE_OPTIONS, _date_fault),
    (LOAD_OPTIONS, partial(_path_fault, check=_load_fault)),
)


def _editable_faults(view: Any, mapper: Mapper[Any]) -> Iterator[str]:
    """Yield a message for each column that lists cannot edit. Unknown names have their own message."""
    files = {*file_columns_of(view.model), *view.file_columns}
    for name in _column_names(view, mapper, "editable"):
        if not mapper.has_property(name):
            continue
        if name not in mapper.columns or name in files:
            yield f"{name!r} is a file or several rows. Edit it in the form."
        elif view.column_list and name not in {*_column_names(view, mapper, "column_list")}:
            yield f"{name!r} is not in {written_name(view, 'column_list')}."
        elif name in {*view.readonly_after_create, *_column_names(view, mapper, "readonly")}:
            yield f"{name!r} is read-only."


def _column_names(view: Any, mapper: Mapper[Any], option: str) -> Iterator[str]:
    value = getattr(view, option)
    if value == "__all__":
        yield from mapper.columns.keys()
    else:
        yield from (column_of_relation(mapper, name) for name in _names_in_option(option, value))


def _conditional_faults(names: Iterable[str], mapper: Mapper[Any]) -> Iterator[str]:
    """Yield a message for each field that cannot be hidden, because a row needs its value."""
    for name in names:
        info = getattr(mapper.class_, "model_fields", {}).get(name)
        if info is not None and info.is_required() and not mapper.columns[name].nullable:
            yield f"{name!r} is required. Make it optional, or give it a default, to hide it."


def _inline_faults(mapper: Mapper[Any], inline: Any) -> Iterator[str]:
    target = inspect(inline.model)
    model = inline.model.__name__
    references = [name for name, other in references_of(target).items() if other is mapper.class_]
    if column_of_relation(target, inline.by) not in references:
        advice = f"Did you mean {references[0]}?" if references else f"No column of {model} does."
        yield f"{inline.by!r} of {model} does not refer to {mapper.class_.__name__}. {advice}"
    yield from filter(None, (secret_name_message(name) or _form_fault(target, name) for name in inline.columns))
    if inline.sortable and (fault := _column_fault(target, inline.sortable)):
        yield fault
    elif inline.sortable and not isinstance(target.columns[inline.sortable].type, Integer):
        yield f"{inline.sortable!r} of {model} has no whole numbers, so it cannot store positions."
