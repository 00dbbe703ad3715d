"""Groups of fields, forms without some fields, and prefilled values."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqladmin.forms import WTFORMS_ATTRS
from starlette.datastructures import FormData

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.files import FileField
from opportune.admin.forms.wtforms_classes import Form
from opportune.i18n import gettext

Fieldset = tuple[str, Sequence[str]]
"""A title and the names of its columns."""
UNCHANGED = "(unchanged)"
"""A text for required fields, whose validator only checks that a text was sent."""


def group_fields(view: Any, names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Group names by the fieldsets of a view. Names without a fieldset come last, without a title.

    A fieldset may name a relationship instead of its column: `author` instead of `author_id`.
    """
    remaining = dict.fromkeys(names)
    groups = []
    for title, fieldset in view.fieldsets:
        columns = [name if name in remaining else view.names.of(name) for name in fieldset]
        groups.append((gettext(title), [name for name in columns if name in remaining]))
    grouped = {name for _, group in groups for name in group}
    groups.append(("", [name for name in remaining if name not in grouped]))
    return [(title, group) for title, group in groups if group]


def without_fields(form: type[AdminForm], names: Iterable[str]) -> type[AdminForm]:
    """Return the form class without these fields."""
    field_names = (WTFORMS_ATTRS.get(name, name) for name in names)
    hidden = {name: None for name in field_names if hasattr(form, name)}
    return type(form.__name__, (form,), hidden) if hidden else form


def prefill(form: Form, params: Mapping[str, str]) -> None:
    """Fill in fields from query parameters, such as `?event_id=3`."""
    for field in form:
        if field.name in params and not isinstance(field, FileField):
            field.process(FormData([(field.name, params[field.name])]), field.data)


def keep_unsent(form: AdminForm, sent: Collection[str], *, is_stored: bool = False) -> None:
    """Restore stored or default values of fields that were not sent. A form would clear checkboxes."""
    for form_field in form:
        if form_field.name not in sent:
            form_field.process_data(form_field.object_data)
            form_field.raw_data = [UNCHANGED] if is_stored else []
