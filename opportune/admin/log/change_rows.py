"""Changes of a row with labels and titles, as the user may see them."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from opportune.admin.log.diff import HIDDEN, Changes, format_texts
from opportune.admin.protocols import View
from opportune.db.models.columns import label_of
from opportune.i18n import gettext

ABSENT = "\N{EN DASH}"

Names = Mapping[tuple[str, Any], str]
"""Titles of linked rows by column and id."""


async def load_reference_names(request: Request, recorded: Sequence[Changes], view: View | None) -> Names:
    """Return the titles of rows that changed foreign keys refer to. Rows the user may not see are left out."""
    names: dict[tuple[str, Any], str] = {}
    for column, lookup in view.references.items() if view else ():
        ids = {value for changes in recorded for value in changes.get(column, ()) if isinstance(value, int)}
        rows = await lookup.visible_rows(request, [*ids]) if ids else ()
        names |= {(column, row.id): lookup.format(row)["text"] for row in rows}
    return names


def list_change_rows(changes: Changes, view: View | None, names: Names) -> list[tuple[str, str, str]]:
    """Return label, old and new value of each change."""
    labels = view.labels if view else {}

    def display(name: str, value: Any) -> str:
        return _format_value(names.get((name, value), value) if isinstance(value, int) else value)

    return [
        (labels.get(name, label_of(name)), display(name, old), display(name, new))
        for name, (old, new) in get_visible_changes(changes, view).items()
    ]


def get_visible_changes(changes: Changes, view: View | None) -> Changes:
    """Return the changes of columns that the view shows, and changes of secrets without values. Without a view, all."""
    if view is None:
        return changes
    visible = {*view.details_names, *view.form_names, *view.related_fields, *view.logged_fields}
    return {
        name: pair for name, pair in changes.items() if (name in visible or HIDDEN in pair) and not view.hides(name)
    }


def _format_value(value: Any) -> str:
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or ABSENT
    if isinstance(value, dict) and all(isinstance(text, str) for text in value.values()):
        return format_texts(value) or ABSENT
    return ABSENT if value in (None, "") else str(value)
