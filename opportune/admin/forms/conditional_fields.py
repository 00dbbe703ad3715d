"""Fields of a form that appear only for some values of other fields, as `show_when` of a view declares."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqladmin.forms import WTFORMS_ATTRS
from wtforms import Field

from opportune.admin.forms.admin_form import AdminForm
from opportune.web.forms.input_texts import as_text

Conditions = Mapping[str, Any]
"""Condition of a field: names of other fields, each with its value or a sequence of values."""


def conditions_json(conditions: Conditions) -> str:
    """Return the conditions for the script of forms: texts by the name of a control."""
    return json.dumps({WTFORMS_ATTRS.get(name, name): _expected_texts(values) for name, values in conditions.items()})


def reset_hidden_fields(form: AdminForm, show_when: Mapping[str, Conditions]) -> None:
    """Give fields that the user did not see their stored or default value."""
    hidden: set[str] = set()
    for _ in show_when:  # a field may depend on one that is hidden
        hidden |= {name for name in show_when if name in form and not _are_met(form, show_when[name], hidden)}
    for name in hidden:
        form[name].process_data(form[name].object_data)
        form[name].raw_data = None
        form[name].process_errors = []


def _are_met(form: AdminForm, conditions: Conditions, hidden: Collection[str]) -> bool:
    """Return whether all conditions hold. A field that the user may not edit is no condition."""
    return all(
        name not in hidden and _control_text(form[name]) in _expected_texts(expected)
        for name, expected in conditions.items()
        if name in form
    )


def _expected_texts(expected: Any) -> list[str]:
    is_several = isinstance(expected, Sequence | set | frozenset) and not isinstance(expected, str)
    return [as_text(value) for value in (expected if is_several else [expected])]


def _control_text(field: Field) -> str:
    is_text = hasattr(field, "control") and field.control.type != "checkbox"
    return str(field.plain_text) if is_text else as_text(field.data)
