"""Fields of a form that appear only for some values of other fields (`show_when`)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqladmin.forms import WTFORMS_ATTRS
from sqlalchemy.orm import Mapper

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.wtforms_classes import Field
from opportune.web.forms.input_texts import as_text

Conditions = Mapping[str, Any]
"""Names of other fields, each with its value or a sequence of values."""


def conditional_faults(options: Mapping[str, Conditions], mapper: Mapper[Any]) -> Iterator[str]:
    """Yield a message for each field that cannot be hidden, because a row needs its value."""
    for name in options:
        info = getattr(mapper.class_, "model_fields", {}).get(name)
        if info is not None and info.is_required() and not mapper.columns[name].nullable:
            yield f"{name!r} is required. Make it optional, or give it a default, to hide it."


def conditions_json(conditions: Conditions) -> str:
    """Return the conditions for the script of forms: texts by the name of a control."""
    return json.dumps({_form_name(name): _texts(expected) for name, expected in conditions.items()})


def reset_hidden_fields(form: AdminForm, options: Mapping[str, Conditions]) -> None:
    """Give fields that the user did not see their stored or default value."""
    for name in (_form_name(name) for name, conditions in options.items() if not _are_met(form, conditions)):
        if name in form:
            form[name].process_data(form[name].object_data)
            form[name].raw_data, form[name].process_errors = None, []


def _are_met(form: AdminForm, conditions: Conditions) -> bool:
    """Return whether all conditions hold. A field that the user may not edit is no condition."""
    names = {_form_name(name): expected for name, expected in conditions.items()}
    return all(_text_of(form[name]) in _texts(expected) for name, expected in names.items() if name in form)


def _form_name(name: str) -> str:
    return str(WTFORMS_ATTRS.get(name, name))


def _texts(expected: Any) -> list[str]:
    """Return the expected values as the texts of a control."""
    is_several = isinstance(expected, Sequence | set | frozenset) and not isinstance(expected, str)
    return [as_text(value) for value in (expected if is_several else [expected])]


def _text_of(field: Field) -> str:
    is_text = hasattr(field, "control") and field.control.type != "checkbox"
    return str(field.plain_text) if is_text else as_text(field.data)
