"""Values of form fields before and after a change, as the audit log has them."""

import json
from contextlib import suppress
from typing import Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from opportune.admin.base import BaseAdminView
from opportune.admin.errors import ValidationRefused
from opportune.admin.log import diff
from opportune.admin.models import AuditEntry
from opportune.db.models.columns import is_json, python_type_of
from opportune.i18n import gettext_lazy as _l

NOT_RECORDED = _l("The log does not have this change.")


def old_values(view: BaseAdminView, entry: AuditEntry) -> dict[str, Any]:
    """Return the values of form fields before a change; none for an added row.

    Raises:
        ValidationRefused: The log has only a part of a value, or hides it.
    """
    names = _logged_fields(view, entry) if entry.action == "update" else ()
    return {name: _parse_logged(view, name, entry.changes[name][0]) for name in names}


def new_values(view: BaseAdminView, entry: AuditEntry) -> dict[str, Any]:
    """Return the values after a change, as far as the log has them."""
    values = {}
    for name in _logged_fields(view, entry):
        with suppress(ValidationRefused):
            values[name] = _parse_logged(view, name, entry.changes[name][1])
    return values


def _logged_fields(view: BaseAdminView, entry: AuditEntry) -> list[str]:
    return [name for name in entry.changes if name in view.names.in_form or name in view.form_extension.names]


def _parse_logged(view: BaseAdminView, name: str, value: Any) -> Any:
    column = view.mapper.columns.get(name)
    is_cut = isinstance(value, str) and len(value) >= diff.MAX_VALUE_LENGTH
    if column is None or name in view.files or value == diff.HIDDEN or is_cut:
        raise ValidationRefused(NOT_RECORDED)
    if value is None or isinstance(value, bool | int | float):
        return value
    fields = getattr(view.model, "model_fields", {})
    type_ = fields[name].annotation if name in fields else python_type_of(column)
    try:
        restored = TypeAdapter(type_).validate_python(json.loads(value) if is_json(column) else value)
    except (ValidationError, ValueError, PydanticSchemaGenerationError):
        raise ValidationRefused(NOT_RECORDED) from None
    logged, _ = diff.diff_values({name: restored}, {}).get(name, (value, None))
    if logged != value:  # the log has another form of the value, such as all texts of a translated one
        raise ValidationRefused(NOT_RECORDED)
    return restored
