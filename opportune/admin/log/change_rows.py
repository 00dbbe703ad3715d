"""Changes of a row with labels and titles, as the user may see them."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from enum import Enum
from typing import Any

from markupsafe import Markup
from pydantic import ValidationError
from sqladmin.authorization import Action
from starlette.requests import Request

from opportune.admin.authorization import is_superuser, may_act
from opportune.admin.base import BaseAdminView
from opportune.admin.current_request import current_request
from opportune.admin.lists.actions import describe_rows
from opportune.admin.lists.display import format_column
from opportune.admin.lists.row_keys import listed_keys
from opportune.admin.log.diff import HIDDEN, Changes, format_texts
from opportune.crud.schema_fields import TIMESTAMPS
from opportune.db.models.columns import python_type_of
from opportune.db.models.labels import label_of
from opportune.schemas.annotations import adapter_of

ABSENT = "\N{EN DASH}"

Names = Mapping[tuple[str, Any], str]
"""Titles of linked rows by column and id."""


async def load_reference_names(request: Request, recorded: Sequence[Changes], view: BaseAdminView | None) -> Names:
    """Return the titles of rows that changed foreign keys refer to. Rows the user may not see are left out."""
    names: dict[tuple[str, Any], str] = {}
    for column, lookup in view.references.items() if view else ():
        ids = {value for changes in recorded for value in changes.get(column, ()) if isinstance(value, int)}
        rows = await lookup.visible_rows(request, [*ids]) if ids else ()
        names |= {(column, lookup.key_of(row)): lookup.format(row)["text"] for row in rows}
    return names


def list_change_rows(changes: Changes, view: BaseAdminView | None, names: Names) -> list[tuple[str, str, str]]:
    """Return label, old and new value of each change."""
    labels = view.labels if view else {}

    def display(name: str, value: Any) -> str:
        if isinstance(value, int) and (name, value) in names:
            return names[name, value]
        return _format_value(value, view, name)

    return [
        (labels.get(name, label_of(name)), display(name, old), display(name, new))
        for name, (old, new) in get_visible_changes(changes, view).items()
    ]


def get_visible_changes(changes: Changes, view: BaseAdminView | None) -> Changes:
    """Return the changes of columns that the view shows, and changes of secrets without values. Without a view, all."""
    if view is None:
        return changes
    visible = {*view.names.in_details, *view.names.in_form, *view.form_extension.names, *view._logged_fields}
    return {
        name: _count_unlisted(view, name, pair)
        for name, pair in changes.items()
        if (name in visible or HIDDEN in pair) and name not in TIMESTAMPS and not view.names.hides(name)
    }


def _count_unlisted(view: BaseAdminView, name: str, pair: Any) -> Any:
    """Replace the titles of linked rows by their number, unless the user may list all rows of their model."""
    request = current_request.get()
    lookup = view.many_to_many.get(name)
    if request is None or lookup is None or is_superuser(request):
        return pair
    counts = [len(value) if isinstance(value, list) else 0 for value in pair]
    if lookup.view is None:
        return counts
    may_list_all = may_act(request, lookup.view, Action.LIST) and listed_keys(lookup.view, request) is None
    return pair if may_list_all else [describe_rows(lookup.view, count) for count in counts]


def _format_value(value: Any, view: BaseAdminView | None, name: str) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or ABSENT
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return format_texts(value) or ABSENT
    if value in (None, ""):
        return ABSENT
    column = view.mapper.columns.get(name) if view else None
    if view is None or column is None or name in view.references:
        return str(value)
    text = format_column(view, name, _restore_type(python_type_of(column), value))
    if isinstance(text, Markup) and isinstance(value, bool):
        return text  # a badge with yes or no
    return text.striptags() if isinstance(text, Markup) else str(text)  # versions compare the texts of links


def _restore_type(type_: Any, value: Any) -> Any:
    """Return a value of the log with the type of its column. A value that no longer has this type is returned as is."""
    if not issubclass(type_, Decimal | date | time | Enum):
        return value
    try:
        return adapter_of(type_).validate_python(value)
    except ValidationError:
        return value
