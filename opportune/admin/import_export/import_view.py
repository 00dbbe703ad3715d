"""Rows from a CSV or JSON file: looked through as a whole, shown, and stored all or none."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.errors import ValidationRefused, translate_database_errors
from opportune.admin.forms.admin_form import AdminForm, add_refusal
from opportune.admin.import_export.import_file import (
    ImportRow,
    empty_form,
    fields_to_import,
    fill_form,
    read_rows,
    split_header,
)
from opportune.admin.lists.actions import list_url
from opportune.admin.log import audit
from opportune.admin.protocols import View
from opportune.signing import seal, unseal
from opportune.web.forms.uploads import display_name
from opportune.web.rendering.flash import flash

TEMPLATE = "admin/import.html"
MAX_PREVIEW_ROWS = 10
"""Rows of a file that are shown before it is imported."""
MAX_REPORTED_ERRORS = 20
PREVIEW_TTL_SECONDS = 3600
"""How long a file that was shown waits for the answer."""


@dataclass
class ImportResult:
    """What came of looking through a file, or of importing it."""

    name: str
    lines: Sequence[ImportRow] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    """And the names of their fields."""
    ignored: Sequence[str] = ()
    error: str = ""
    faults: list[tuple[int, str]] = field(default_factory=list)
    sealed: str = ""
    """The file, to come back with the answer: nothing of it is kept here."""

    @property
    def is_good(self) -> bool:
        return not (self.error or self.faults)


async def import_page(request: Request, view: View) -> Response:
    """Asks for a file, then shows what is in it, and imports it when that is confirmed."""
    if request.method != "POST":
        return await _show(request, view, None)
    outcome, is_confirmed = ImportResult(""), False
    try:
        name, content, is_confirmed = await _sent(request, view)
        outcome = ImportResult(display_name(name))
        await _import(request, view, outcome, content, keep=is_confirmed)
        outcome.sealed = seal(request.app.state.settings, _purpose(request, view), f"{outcome.name}\n{content}")
    except ValidationRefused as refusal:
        outcome.error = str(refusal)
    if not (is_confirmed and outcome.is_good):
        return await _show(request, view, outcome)
    count = len(outcome.lines)
    flash(request, f"Imported {count:,} {view.name if count == 1 else view.name_plural}.")
    return RedirectResponse(list_url(request, view), 303)


async def _show(request: Request, view: View, outcome: ImportResult | None) -> Response:
    form = await empty_form(request, view)
    context = {
        "model_view": view,
        "outcome": outcome,
        "title": f"Import {view.name_plural}",
        "fields": fields_to_import(view, form),
        "list": list_url(request, view),
        "first": outcome.lines[:MAX_PREVIEW_ROWS] if outcome else (),
    }
    status = 200 if outcome is None or outcome.is_good else 400
    page: Response = await view.templates.TemplateResponse(request, TEMPLATE, context, status)
    return page


async def _sent(request: Request, view: View) -> tuple[str, str, bool]:
    """The file's name and text, and whether it was shown before and is to be imported now."""
    largest = view.max_import_file_size
    async with request.form(max_files=1, max_fields=10, max_part_size=2 * largest) as form:
        if sealed := form.get("sealed"):
            text = unseal(request.app.state.settings, _purpose(request, view), str(sealed), PREVIEW_TTL_SECONDS)
            if text is None:
                raise ValidationRefused("That was too long ago. Please choose the file again.")
            name, _, content = text.partition("\n")
            return name, content, True
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise ValidationRefused("Please choose a file.")
        content_bytes = await file.read(largest + 1)
        name = file.filename
    if len(content_bytes) > largest:
        raise ValidationRefused(f"Please choose a file of at most {largest:,} bytes.")
    try:
        return name, content_bytes.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        raise ValidationRefused("This is no text in UTF-8. Save it as “CSV UTF-8”.") from None


def _purpose(request: Request, view: View) -> str:
    return f"admin import {view.identity} {request.state.user.id}"


async def _import(request: Request, view: View, outcome: ImportResult, content: str, *, keep: bool) -> None:
    """Find out all that is wrong. If nothing is and `keep` is asked for, the rows are stored.

    Raises:
        ValidationRefused: it is no such file at all.
    """
    form = await empty_form(request, view)
    header, outcome.lines = read_rows(outcome.name, content, view.import_max_rows)
    outcome.columns, outcome.ignored = split_header(view, form, header)
    values = await _clean(view, type(form), outcome)
    if not outcome.faults:
        await _store(request, view, outcome, values, keep=keep)


async def _clean(view: View, form_class: type[AdminForm], outcome: ImportResult) -> list[dict[str, Any]]:
    """What is to be stored, after the form's and the model's rules."""
    values = []
    for line in outcome.lines:
        await asyncio.sleep(0)  # others have their turn
        try:
            values.append(_values(view, form_class, line, outcome.columns))
        except ValidationRefused as refusal:
            outcome.faults.append((line.number, str(refusal)))
            if len(outcome.faults) == MAX_REPORTED_ERRORS:
                break
    return values


def _values(view: View, form_class: type[AdminForm], line: ImportRow, columns: Mapping[str, str]) -> dict[str, Any]:
    form, faults = fill_form(view, form_class, line, columns)
    try:
        values = view.clean(form, None)
    except ValidationRefused as refusal:
        above = add_refusal(form, refusal)
        beside = [f"{each.label.text}: {' '.join(map(str, each.errors))}" for each in form if each.errors]
        raise ValidationRefused(" ".join([*faults, *beside] or [above])) from None
    if faults:
        raise ValidationRefused(" ".join(faults))
    return values


async def _store(
    request: Request, view: View, outcome: ImportResult, values: list[dict[str, Any]], *, keep: bool
) -> None:
    """In one transaction, which is undone if the database refuses a row or this only looks what it would say."""
    rows = []
    async with view.site.database.writer() as session:
        for line, one in zip(outcome.lines, values, strict=True):
            try:
                rows.append(await _add(session, request, view, one))
            except ValidationRefused as refusal:
                outcome.faults.append((line.number, str(refusal)))
                if len(outcome.faults) == MAX_REPORTED_ERRORS:
                    break
        if outcome.faults or not keep:
            await session.rollback()
            return
        audit.record(session, request, "import", view.identity, title=f"{len(rows):,} rows of {outcome.name}")
    for row, one in zip(rows, values, strict=True):
        await view.after_model_change(one, row, True, request)


async def _add(session: AsyncSession, request: Request, view: View, values: dict[str, Any]) -> Any:
    try:
        with translate_database_errors(view.table):
            async with session.begin_nested():
                return await view.add_row(session, request, values)
    except ValidationRefused as refusal:
        labels = ", ".join(str(view.labels.get(name, name)) for name in refusal.fields)
        raise ValidationRefused(f"{labels}: {refusal}" if labels else str(refusal)) from None
