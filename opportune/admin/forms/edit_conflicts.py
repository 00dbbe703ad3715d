"""Values that another user has changed since a form of the admin was rendered, and who has changed them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from markupsafe import escape
from starlette.requests import Request
from wtforms import Field

from opportune.admin.authorization import may_see_history
from opportune.admin.base import BaseAdminView
from opportune.admin.errors import RowChanged
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.files import FileField
from opportune.admin.forms.model_fields import NO_CHOICE, ModelField
from opportune.admin.log.audit import load_names, read_last_changes
from opportune.admin.models import AuditEntry
from opportune.i18n import gettext
from opportune.web.forms.seen_values import ChangedFields, find_changed, format_hashes, hash_text, parse_hashes


class Conflict(NamedTuple):
    """A field whose stored value has changed since the form was rendered."""

    name: str
    is_edited: bool
    """Whether the user has also changed it, to another value."""
    entry: AuditEntry | None
    """The change in the audit log, if the user may see it."""
    author: str


def hash_values(form: Iterable[Field]) -> str:
    """Return the value of the hidden field: names and hashes."""
    return format_hashes(_hashes(form))


def find_changed_fields(form: AdminForm, stored: AdminForm, seen: str) -> ChangedFields:
    """Return the fields that saving would set back.

    Args:
        form: The submitted form.
        stored: The form with the stored values.
        seen: The hidden field of the submitted page.
    """
    return find_changed(_hashes(form), _hashes(stored), seen)


def is_edited(form: AdminForm, seen: str) -> bool:
    """Return whether a user has changed a field."""
    hashes = _hashes(form)
    return any(hashes.get(name, hash_) != hash_ for name, hash_ in parse_hashes(seen).items())


def use_stored_values(form: AdminForm, stored: AdminForm, changed: ChangedFields) -> None:
    """Replace the values that the user has not changed by the stored values."""
    for name, has_edited in changed.items():
        if not has_edited:
            form[name].raw_data = None
            form[name].process(None, stored[name].data)


async def describe_conflicts(
    request: Request, view: BaseAdminView, row_id: str, changed: ChangedFields
) -> list[Conflict]:
    """Return the changes with their authors, if the user may see the history of the row."""
    entries = {}
    if may_see_history(request, view):
        async with view.site.database.reader(fresh=True) as session:
            entries = await read_last_changes(session, view, row_id, changed)
    names = await load_names(view, [entry.actor for entry in entries.values() if entry])
    authors = {name: names[entry.actor] for name, entry in entries.items() if entry}
    another = gettext("Another user")
    return [Conflict(name, edited, entries.get(name), authors.get(name) or another) for name, edited in changed.items()]


async def stored_text(request: Request, view: BaseAdminView, row: Any, name: str) -> str:
    """Return the stored value of a column as lists show it, without HTML."""
    _, text = await view.get_list_value(row, name, request)
    return escape(text).striptags()


def columns_in_form(view: BaseAdminView, form: AdminForm, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values of the columns in a form, for `refuse_changed_row`."""
    return {name: value for name, value in stored.items() if name in form and name in view.mapper.columns}


def refuse_changed_row(locked_row: Any, read_values: Mapping[str, Any]) -> None:
    """Raise RowChanged if a locked row has other values than those that the request has read."""
    if any(getattr(locked_row, name) != value for name, value in read_values.items()):
        raise RowChanged


def _hashes(form: Iterable[Field]) -> dict[str, str]:
    return {field.short_name: hash_field(field) for field in form}


def hash_field(field: Field) -> str:
    return hash_text(_text_of(field))


def _text_of(field: Field) -> str:
    """Return the value with the precision of the page, which can have fewer digits than the stored value."""
    value: Any = field.data
    if isinstance(field, FileField):
        return f"{value or ''} {bool(field.upload)} {field.is_cleared}"
    if isinstance(value, datetime) and value.tzinfo:  # the page shows it in the time zone of the browser
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(field, ModelField) and field.control.type != "checkbox":
        return "" if field.plain_text == NO_CHOICE else field.plain_text
    is_collection = isinstance(value, list | tuple | set | frozenset)
    return ",".join(sorted(map(str, value))) if is_collection else str(value or "")
