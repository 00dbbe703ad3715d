"""Fills in the admin's forms with the rows of a file. The format is that of exports."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqladmin.helpers import get_column_python_type
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.fieldsets import keep_unsent, without_fields
from opportune.admin.forms.files import FileField
from opportune.admin.forms.model_fields import NO_CHOICE, FileCells
from opportune.admin.import_export.file_rows import ImportRow
from opportune.admin.import_export.names import NamedColumn, NameResolver, named_columns
from opportune.admin.protocols import View
from opportune.db.models.columns import is_secret, is_text
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.parsing import Source
from opportune.web.forms.forms import ZONE_SUFFIX

SAME_FIELD = _l("These columns set the same field: %(names)s. Keep one of them.")
YES, NO = ("true", "yes", "y", "1", "on"), ("false", "no", "n", "0", "off", "")


async def empty_form(request: Request, view: View) -> AdminForm:
    """Return the form for a new row, with only the fields that the user may set."""
    return without_fields(await view.form_class(request, creating=True), view.unwritable_columns(request, None))()


def fields_to_import(view: View, form: AdminForm) -> dict[str, Any]:
    """Return the form fields that a file can fill in, by column. Secrets and files are left out."""
    fields = view.site.plain_names({field.name: field for field in form}, view.model)
    columns: Any = view.mapper.columns
    return {
        name: field
        for name, field in fields.items()
        if name in columns and not is_secret(name) and not isinstance(field, FileField)
    }


def names_to_import(view: View, form: AdminForm) -> dict[str, NamedColumn]:
    """Return the columns of related rows that a file names by natural key, by the name in the file."""
    return {name: column for name, column in named_columns(view).items() if column.column in form}


def name_columns(
    view: View, form: AdminForm, header: Sequence[str], lines: Sequence[ImportRow]
) -> tuple[list[str], list[ImportRow]]:
    """Replace labels of the list and names in other case by the names of columns, in the header and the rows.

    Raises:
        ValidationRefused: Two headings mean the same column.
    """
    fields, named = fields_to_import(view, form), names_to_import(view, form)
    columns = list(dict.fromkeys([*fields, *named, *view.export_names]))
    labels = {name: str(view.labels.get(name, name)) for name in columns}
    names: dict[str, str] = {}
    for texts in (columns, labels.values(), map(gettext, labels.values())):
        for column, text in zip(columns, texts, strict=True):
            names.setdefault(text.casefold(), column)
    renamed = {heading: heading if heading in columns else names.get(heading.casefold(), heading) for heading in header}
    for name in renamed.values():
        if len(same := [heading for heading in header if renamed[heading] == name]) > 1:
            raise ValidationRefused(gettext(SAME_FIELD, names=", ".join(same)))
    rows = [ImportRow(line.number, {renamed[name]: cell for name, cell in line.cells.items()}) for line in lines]
    return [renamed[heading] for heading in header], rows


def split_header(
    view: View, form: AdminForm, header: Sequence[str], *, may_omit: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Return the imported columns with their form fields, and the exported columns that are ignored.

    Raises:
        ValidationRefused: A column is unknown, or a required one is missing.
    """
    fields, named = fields_to_import(view, form), names_to_import(view, form)
    allowed = {name: field.name for name, field in fields.items()} | {name: named[name].column for name in named}
    not_ignored = {*allowed, *view.locked_names}
    exported = {name for name in view.export_names if name not in not_ignored and not is_secret(name)}
    if unknown := [name for name in header if name not in allowed and name not in exported]:
        names = ", ".join(name[:40] or "(no name)" for name in unknown[:5])
        raise ValidationRefused(
            gettext(
                "These columns cannot be imported: %(names)s. These can: %(allowed)s.",
                names=names,
                allowed=", ".join(allowed),
            )
        )
    columns = {name: allowed[name] for name in header if name in allowed}
    if duplicates := [name for name, field in columns.items() if [*columns.values()].count(field) > 1]:
        raise ValidationRefused(gettext(SAME_FIELD, names=", ".join(duplicates)))
    aliases = {column.column: name for name, column in named.items()}
    required = [name for name, field in fields.items() if field.flags.required and not field.data]
    missing = [aliases.get(name, name) for name in required if allowed[name] not in columns.values()]
    if missing and not may_omit:
        raise ValidationRefused(gettext("These columns are missing: %(names)s.", names=", ".join(missing)))
    return columns, [name for name in header if name in exported]


@dataclass(frozen=True)
class FormFiller:
    """Fills in forms with the cells of a file."""

    view: View
    columns: Mapping[str, str]
    """The form field of each column of the file."""
    named: Mapping[str, NamedColumn]
    names: NameResolver
    source: Source
    """Format of numbers and dates in the file."""

    def fill(
        self, form_class: type[AdminForm], line: ImportRow, stored: Mapping[str, Any] | None = None
    ) -> tuple[AdminForm, list[str]]:
        """Return the form of a new or stored row, and messages about cells that cannot be put into a form."""
        texts: dict[str, str] = {}
        faults = []
        for name, field in self.columns.items():
            try:
                texts |= {field: self._form_text(name, line.cells.get(name)), field + ZONE_SUFFIX: "UTC"}
            except ValueError as error:
                faults.append(f"{self.view.labels.get(field, name)}: {error}")
        form = form_class(FileCells(texts, self.source), data=stored or {})
        keep_unsent(form, texts, is_stored=stored is not None)
        return form, faults

    def _form_text(self, name: str, value: Any) -> str:
        if (column := self.named.get(name)) is None:
            text = _form_text(self.view.mapper.columns[name], value)
            return text or (NO_CHOICE if name in self.view.references else "")
        ids = self.names.ids(column, column.names_in(value))
        return ",".join(map(str, ids)) or ("" if column.is_many else NO_CHOICE)


def _form_text(column: Any, value: Any) -> str:
    """Return a value as a browser would send it. Raises ValueError with a message for the user."""
    text = "" if value is None else str(value)
    if get_column_python_type(column) is bool:
        return _boolean(text.strip().lower(), column.nullable)
    if isinstance(value, dict | list) or (isinstance(value, bool) and is_text(column)):
        return json.dumps(value)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("This text has characters that cannot be stored.")
    return text if is_text(column) else text.strip()


def _boolean(word: str, nullable: bool) -> str:
    if nullable and not word:
        return ""
    if word not in (*YES, *NO):
        raise ValueError("Enter yes or no.")
    return "True" if word in YES else "False" if nullable else "false"
