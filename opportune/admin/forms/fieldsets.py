"""The shape of a form: its groups of fields, what it leaves out for somebody, and what is filled in at first."""

from collections.abc import Iterable, Mapping, Sequence

from starlette.datastructures import FormData
from wtforms import Form  # type: ignore[import-untyped]  # has no types

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.files import FileField

Fieldset = tuple[str, Sequence[str]]
"""A title, and the columns below it."""


def group_fields(fieldsets: Sequence[Fieldset], names: Iterable[str]) -> list[tuple[str, list[str]]]:
    """These names by fieldset, and without a title those that are in none."""
    left = dict.fromkeys(names)
    groups = [(title, [name for name in wanted if name in left]) for title, wanted in fieldsets]
    taken = {name for _, group in groups for name in group}
    groups.append(("", [name for name in left if name not in taken]))
    return [(title, group) for title, group in groups if group]


def without_fields(form: type[AdminForm], names: Iterable[str]) -> type[AdminForm]:
    """The form without these fields: it neither shows nor reads them."""
    hidden = {name: None for name in names if hasattr(form, name)}
    return type(form.__name__, (form,), hidden) if hidden else form


def prefill(form: Form, asked: Mapping[str, str]) -> None:
    """Begin with what an address says, such as `?event_id=3`."""
    for field in form:
        if field.name in asked and not isinstance(field, FileField):
            field.process(FormData([(field.name, asked[field.name])]), field.data)
