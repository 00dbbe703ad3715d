"""Short names of the options of `AdminView`, as in `Crud` and `CrudPages`. SQLAdmin's own names are aliases."""

from collections.abc import Mapping, Sequence
from inspect import getattr_static
from typing import Any

from opportune.errors import OperatorError

SHORT_NAMES: Mapping[str, str] = {
    "columns": "column_list",
    "fields": "column_details_list",
    "write_fields": "form_columns",
    "search": "column_searchable_list",
    "filters": "column_filters",
    "sort": "column_sortable_list",
    "order": "column_default_sort",
    "plural": "name_plural",
}
"""SQLAdmin's option by its short name."""


class ShortName:
    """Option with a short name, whose value is in SQLAdmin's option."""

    def __init__(self, short: str) -> None:
        self.short = short

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        value = getattr(owner if instance is None else instance, SHORT_NAMES[self.short])
        return order_of(value) if self.short == "order" else value


def short_name(short: str) -> Any:
    """Declare an option with a short name."""
    return ShortName(short)


def add_long_names(view: str, bases: Sequence[type[Any]], attributes: dict[str, Any]) -> None:
    """Set SQLAdmin's options from the short names in the body of a view, or in a mixin.

    Raises:
        OperatorError: The body sets an option by both names.
    """
    inherited = [vars(class_) for base in bases for class_ in base.__mro__]
    for short, long in SHORT_NAMES.items():
        if isinstance(attributes.get(short), ShortName):
            continue  # the declaration of the option in `AdminView`
        if short in attributes and long in attributes:
            raise OperatorError(f"{view} sets {short} and {long}, which are the same option. Remove {long}.")
        if long in attributes:
            attributes[short] = ShortName(short)  # replaces a value that a base has under the short name
            continue
        nearest = next((body for body in [attributes, *inherited] if short in body or long in body), {})
        # Views have both names afterwards, so only this body or that of a mixin has the short name alone.
        if short in nearest and long not in nearest and not isinstance(nearest[short], ShortName):
            value = nearest[short]
            attributes[long] = _default_sort_of(view, value) if short == "order" else value


def written_name(view: Any, option: str) -> str:
    """Return the name by which a view or its class sets an option of SQLAdmin."""
    short = next((short for short, long in SHORT_NAMES.items() if long == option), "")
    is_set_by_short_name = short and not isinstance(getattr_static(class_of(view), short, None), ShortName)
    return short if is_set_by_short_name else option


def class_of(view: Any) -> type[Any]:
    """Return the class of a view, or the class itself."""
    return view if isinstance(view, type) else type(view)


def _default_sort_of(view: str, order: Any) -> list[tuple[str, bool]]:
    if not isinstance(order, list | tuple) or not all(isinstance(name, str) for name in order):
        raise OperatorError(f'{view}.order: write a tuple of names, with - for descending: ("-created_at",)')
    return [(name.removeprefix("-"), name.startswith("-")) for name in order]


def order_of(default_sort: Any) -> tuple[str, ...]:
    """Return the names in SQLAdmin's default order, with `-` for descending."""
    columns = default_sort if isinstance(default_sort, list) else [default_sort]
    pairs = [column if isinstance(column, tuple) else (column, False) for column in columns]
    return tuple(f"{'-' if descending else ''}{getattr(name, 'key', name)}" for name, descending in pairs)
