"""Checks of the names in the options of views, which stop the start with one line."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from opportune.db.models.columns import is_secret
from opportune.db.models.field_usages import describe_usages
from opportune.db.queries.paths import Path, column_of_relation, parse_path
from opportune.runtime.suggestions import MIN_MISSPELT_SIMILARITY, did_you_mean, nearest

SHOWN = ("column_list", "column_details_list", "column_export_list")
ANY = (
    "column_exclude_list",
    "column_details_exclude_list",
    "column_export_exclude_list",
    "column_import_exclude_list",
    "column_formatters",
    "column_formatters_detail",
    "column_labels",
    "fieldsets",
    "form_excluded_columns",
    "non_link_related_fields",
)
SORTED = ("column_sortable_list", "column_default_sort")
SEARCHED = ("column_searchable_list",)
FILTERED = ("column_filters",)
FORM = (
    "column_import_list",
    "form_ajax_refs",
    "form_args",
    "form_columns",
    "form_create_rules",
    "form_edit_rules",
    "form_overrides",
    "form_rules",
    "form_widget_args",
    "readonly_columns",
    "readonly_after_create",
)
COLUMNS = ("file_columns", "prepopulated")
LOADED = ("load",)


def view_faults(views: Iterable[Any]) -> Iterator[str]:
    """Yield a line for each unknown name in the options of views."""
    ours = [view for view in views if hasattr(view, "option_faults")]
    for view in ours:
        yield from view.option_faults()
    yield from inlines_without_view(ours)


def inlines_without_view(views: Sequence[Any]) -> Iterator[str]:
    """Yield a line for each inline of a model without a view, which would have no rules and permissions."""
    models = {view.model for view in views}
    for view in views:
        for model in (inline.model for inline in view.inlines if inline.model not in models):
            name = model.__name__
            advice = f"Add {name}Admin(AdminView, model={name})."
            yield f"{_name_of(view)}: inlines names {name}, which has no view. {advice}"


def option_faults(view: Any, base: type[Any]) -> Iterator[str]:
    """Yield a line for each unknown name of a view or its class. `base` is the class with the defaults."""
    name, mapper = _name_of(view), inspect(view.model)
    for options, fault_of in RULES:
        for option in options:
            wishes = getattr(view, option)
            if wishes is not getattr(base, option) and wishes != "__all__":
                yield from (
                    f"{name}: {option} {fault}"
                    for wish in _names(option, wishes)
                    if (fault := fault_of(view, mapper, wish))
                )
    if view.crud and view.crud.model is not view.model:
        yield f"{name}: crud names {view.crud.__name__}, which is of {view.crud.model.__name__}."
    yield from (f"{name}: inlines {fault}" for inline in view.inlines for fault in _inline_faults(mapper, inline))
    yield from (f"{name} has no option {given}. Did you mean {meant}?" for given, meant in _misspelt(view, base))


def _name_of(view: Any) -> str:
    return (view if isinstance(view, type) else type(view)).__name__


def _names(option: str, wishes: Any) -> Iterator[str]:
    """Yield the names in the value of an option. Filter objects have their own names."""
    if option == "fieldsets":
        wishes = [name for _, names in wishes for name in names]
    elif option == "prepopulated":
        wishes = [*wishes.keys(), *wishes.values()]
    elif option == "column_default_sort" and not isinstance(wishes, list):
        wishes = [wishes]
    for wish in (each[0] if isinstance(each, tuple) else each for each in wishes):
        if isinstance(wish, str) or (hasattr(wish, "key") and not hasattr(wish, "parameter_name")):
            yield wish if isinstance(wish, str) else str(wish.key)


def _shown_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    return _secret_fault(name) or _any_fault(view, mapper, name)


def _any_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    made_here = {*view.column_formatters, *view.column_formatters_detail, *view.related_fields}
    if name in made_here or hasattr(view.model, name):
        return ""
    return _path_fault(mapper, name)


def _sorted_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    return _secret_fault(name) or _path_fault(mapper, name, _many_fault)


def _searched_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    return _secret_fault(name) or _path_fault(mapper, name, _column_fault)


def _filtered_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    return _secret_fault(name) or _path_fault(mapper, name)


def _form_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    if name in view.related_fields or hasattr(view.form, name):
        return ""
    return _secret_fault(name) or _field_fault(mapper, name)


def _field_fault(mapper: Mapper[Any], name: str) -> str:
    if "." in name:
        return f'names "{name}": forms hold what is the row\'s own.'
    if fault := _path_fault(mapper, name):
        return fault
    relation = mapper.relationships.get(name)
    if relation is None or relation.secondary is not None or column_of_relation(mapper, name) != name:
        return ""
    return f'names "{name}", rows that point at this one, which forms do not hold. Edit them as inlines.'


def _loaded_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    return _path_fault(mapper, name, _relationship_fault)


def _relationship_fault(name: str, path: Path) -> str:
    return "" if path.name in path.end.relationships else f'names "{name}", a column. Name relationships.'


def _own_column_fault(view: Any, mapper: Mapper[Any], name: str) -> str:
    return "" if name in mapper.columns else _missing(mapper, name, list(mapper.columns.keys()))


RULES: tuple[tuple[tuple[str, ...], Callable[[Any, Mapper[Any], str], str]], ...] = (
    (SHOWN, _shown_fault),
    (ANY, _any_fault),
    (SORTED, _sorted_fault),
    (SEARCHED, _searched_fault),
    (FILTERED, _filtered_fault),
    (FORM, _form_fault),
    (COLUMNS, _own_column_fault),
    (LOADED, _loaded_fault),
)


def _secret_fault(name: str) -> str:
    return (
        f'names "{name}", which the admin shows nobody: its name says that it is a secret.' if is_secret(name) else ""
    )


def _path_fault(mapper: Mapper[Any], name: str, more: Callable[[str, Path], str] | None = None) -> str:
    try:
        path = parse_path(mapper, name)
    except LookupError as error:
        there, missing = error.args
        return _missing(there, missing, [*there.columns.keys(), *there.relationships.keys()], name)
    return more(name, path) if more else ""


def _missing(mapper: Mapper[Any], missing: str, there: list[str], whole: str = "") -> str:
    advice = did_you_mean(missing, there) or f" It has {', '.join(name for name in there if not is_secret(name))}."
    usages = describe_usages(mapper.class_, missing)
    return f'names "{whole or missing}", but {mapper.class_.__name__} has no "{missing}".{advice}{usages}'


def _many_fault(name: str, path: Path) -> str:
    end = path.end.relationships.get(path.name)
    is_many = path.leads_to_many or (end is not None and end.uselist)
    return f'names "{name}", of which a row has many: nothing is sorted by these.' if is_many else ""


def _column_fault(name: str, path: Path) -> str:
    if path.name in path.end.columns:
        return ""
    return f'names "{name}", a row and not its words. Name a column of it, such as "{name}.{_words_of(path)}".'


def _words_of(path: Path) -> str:
    columns = path.end.relationships[path.name].mapper.columns
    return next((name for name in ("name", "title") if name in columns), next(iter(columns.keys())))


def _inline_faults(mapper: Mapper[Any], inline: Any) -> Iterator[str]:
    there, model = inspect(inline.model), inline.model.__name__
    by = column_of_relation(there, inline.by)
    pointing = [
        there.get_property_by_column(column).key
        for column in there.columns
        if any(key.column.table is mapper.local_table for key in column.foreign_keys)
    ]
    if by not in pointing:
        advice = f"Did you mean {pointing[0]}?" if pointing else f"No column of {model} does."
        yield f'names "{inline.by}" of {model}, which does not point at {mapper.class_.__name__}. {advice}'
    for name in inline.columns:
        if fault := _secret_fault(name) or _field_fault(there, name):
            yield f"of {model} {fault}"


def _misspelt(view: Any, base: Any) -> Iterator[tuple[str, str]]:
    """Yield attributes of a view that have no effect and are named almost like an option."""
    for kind in (view if isinstance(view, type) else type(view)).__mro__:
        if issubclass(kind, base) and kind is not base:
            for name, value in vars(kind).items():
                if name.startswith("_") or hasattr(base, name) or callable(value) or hasattr(value, "__get__"):
                    continue
                if near := _option_like(name, base):
                    yield name, near


@cache
def _option_like(name: str, base: Hashable) -> str:
    """Cached: each view has the same names, and comparing them would take a third of the start."""
    options = [option for option in dir(base) if option.isidentifier() and not option.startswith("_")]
    return nearest(name, options, MIN_MISSPELT_SIMILARITY)
