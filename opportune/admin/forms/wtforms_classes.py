"""The WTForms classes that the admin's forms use. Only this module imports WTForms, because it has no types."""

from wtforms import Field, Form, PasswordField, SelectMultipleField, ValidationError  # type: ignore[import-untyped]
from wtforms.i18n import get_translations  # type: ignore[import-untyped]
from wtforms.meta import DefaultMeta  # type: ignore[import-untyped]
from wtforms.validators import InputRequired, Optional  # type: ignore[import-untyped]
from wtforms.widgets import CheckboxInput, FileInput, ListWidget, html_params  # type: ignore[import-untyped]

__all__ = [
    "CheckboxInput",
    "DefaultMeta",
    "Field",
    "FileInput",
    "Form",
    "InputRequired",
    "ListWidget",
    "Optional",
    "PasswordField",
    "SelectMultipleField",
    "ValidationError",
    "get_translations",
    "html_params",
]
