"""Import of a CSV or JSON file: validate all rows, show a preview, then store all or none."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.editing.undo import undo_url
from opportune.admin.errors import ValidationRefused
from opportune.admin.lists.actions import describe_rows, list_url
from opportune.admin.log import audit
from opportune.admin.views import AdminView
from opportune.config.signing import seal, unseal
from opportune.contrib.import_export.import_file import (
    ImportRow,
    empty_form,
    fields_to_import,
    format_examples,
    name_columns,
    names_to_import,
    read_rows,
    source_of_rows,
    split_header,
)
from opportune.contrib.import_export.import_rows import ImportPlan, TooManyFaultsError
from opportune.db.models.columns import natural_key_of
from opportune.errors import FieldErrors
from opportune.i18n import get_language, gettext
from opportune.i18n.formats import format_number
from opportune.i18n.parsing import Source
from opportune.web.forms.uploads import display_name
from opportune.web.rendering.flash import flash

TEMPLATE = "import_export/import.html"
MAX_PREVIEW_ROWS = 10
"""Maximum rows in the preview."""
PREVIEW_TTL_SECONDS = 3600
"""Time in which the user can confirm a preview."""


@dataclass
class ImportResult:
    """The result of a preview or an import."""

    name: str
    updates: bool = False
    """Whether stored rows may change."""
    lines: Sequence[ImportRow] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    """The form field of each column of the file."""
    ignored: Sequence[str] = ()
    error: str = ""
    plan: ImportPlan | None = None
    sealed: str = ""
    """The encrypted file. The confirmation sends it back, so the server does not store it."""

    @property
    def is_json(self) -> bool:
        return self.name.lower().endswith(".json")

    @property
    def faults(self) -> Sequence[tuple[int, str]]:
        return self.plan.faults if self.plan else ()

    @property
    def is_valid(self) -> bool:
        return not (self.error or self.faults)


async def import_page(request: Request, view: AdminView) -> Response:
    """Show the upload form or a preview of the file, or import the file after confirmation."""
    await view.site.check_access(request, "import")
    if request.method != "POST":
        return await _render_page(request, view, None)
    outcome, is_confirmed = ImportResult(""), False
    try:
        name, content, updates, is_confirmed = await _read_submission(request, view)
        outcome = ImportResult(display_name(name), updates)
        await _import(request, view, outcome, content, store=is_confirmed)
        purpose = _purpose(request, view, updates=updates)
        outcome.sealed = seal(request.app.state.settings, purpose, f"{outcome.name}\n{content}")
    except FieldErrors as refusal:
        outcome.error = str(refusal)
    if not (is_confirmed and outcome.is_valid):
        return await _render_page(request, view, outcome)
    if outcome.plan:
        flash(request, _summary(outcome.plan), undo=undo_url(request, view))
    return RedirectResponse(list_url(request, view), 303)


def _summary(plan: ImportPlan) -> str:
    new, changed = len(plan.new_rows), len(plan.changed_rows)
    rows = describe_rows(plan.view, new)
    if not plan.updates:
        return gettext("Imported %(rows)s.", rows=rows)
    counts = {"changed": format_number(changed), "unchanged": format_number(len(plan.rows) - new - changed)}
    return gettext("Imported %(rows)s, changed %(changed)s; %(unchanged)s unchanged.", rows=rows, **counts)


async def _render_page(request: Request, view: AdminView, outcome: ImportResult | None) -> Response:
    form = await empty_form(request, view)
    context = {
        "model_view": view,
        "outcome": outcome,
        "title": gettext("Import %(names)s", names=view.name_plural),
        "fields": fields_to_import(view, form),
        "names": names_to_import(view, form),
        "update_key": natural_key_of(view.model) if view.may_edit_any(request) else "",
        "amount": describe_rows,
        "list": list_url(request, view),
        "preview_rows": outcome.plan.rows[:MAX_PREVIEW_ROWS] if outcome and outcome.plan else (),
        "formats": format_examples(),
    }
    status = 200 if outcome is None or outcome.is_valid else 400
    page: Response = await view.templates.TemplateResponse(request, TEMPLATE, context, status)
    return page


async def _read_submission(request: Request, view: AdminView) -> tuple[str, str, bool, bool]:
    """Return name and text of the file, whether it may change stored rows, and whether the user has confirmed."""
    max_bytes = view.max_import_file_size
    async with request.form(max_files=1, max_fields=10, max_part_size=2 * max_bytes) as form:
        if (updates := bool(form.get("update"))) and not view.may_edit_any(request):
            raise HTTPException(403)
        if sealed := form.get("sealed"):
            purpose = _purpose(request, view, updates=updates)
            text = unseal(request.app.state.settings, purpose, str(sealed), PREVIEW_TTL_SECONDS)
            if text is None:
                raise ValidationRefused("This preview has expired. Please choose the file again.")
            name, _, content = text.partition("\n")
            return name, content, updates, True
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise ValidationRefused("Please choose a file.")
        content_bytes = await file.read(max_bytes + 1)
        name = file.filename
    if len(content_bytes) > max_bytes:
        raise ValidationRefused(
            gettext("Please choose a file of at most %(limit)s bytes.", limit=format_number(max_bytes))
        )
    try:
        return name, content_bytes.decode("utf-8-sig"), updates, False
    except UnicodeDecodeError:
        raise ValidationRefused("This file is not UTF-8 text. Save it as “CSV UTF-8”.") from None


def _purpose(request: Request, view: AdminView, *, updates: bool) -> str:
    # A preview is confirmed in its language, because the language decides how numbers are read.
    language = get_language().code
    return f"admin import {view.identity} {request.state.user.id} {language}{' with changes' if updates else ''}"


async def _import(request: Request, view: AdminView, outcome: ImportResult, content: str, *, store: bool) -> None:
    """Validate the file. Store the rows if all are valid and `store` is true.

    Raises:
        ValidationRefused: The file cannot be read.
    """
    form = await empty_form(request, view)
    header, outcome.lines = name_columns(view, form, *read_rows(outcome.name, content, view.import_max_rows))
    outcome.columns, outcome.ignored = split_header(view, form, header, may_omit=outcome.updates)
    cells = [line.cells for line in outcome.lines]
    source = Source.MACHINE if outcome.is_json else source_of_rows(form, outcome.columns, cells)
    outcome.plan = plan = ImportPlan(request, view, outcome.columns, outcome.updates, source)
    if outcome.updates and plan.key not in outcome.columns:
        raise ValidationRefused(
            gettext(
                "Rows to change are identified by the column %(column)s. Add it to the file.",
                column=plan.key or "(none)",
            )
        )
    with suppress(TooManyFaultsError):
        await plan.read(outcome.lines)
        if not plan.faults:
            await _store(request, view, outcome, plan, store=store)


async def _store(request: Request, view: AdminView, outcome: ImportResult, plan: ImportPlan, *, store: bool) -> None:
    """Store all rows in one transaction. Roll back for a preview, or if the database refuses a row."""
    written: list[Any] = []
    async with view.site.database.writer() as session:
        with suppress(TooManyFaultsError):
            written = await plan.store(session)
        if plan.faults or not store:
            await session.rollback()
            return
        audit.record(session, request, "import", view.identity, title=f"{len(written):,} rows of {outcome.name}")
    for new_rows in plan.names.new_rows.values():
        for name, row in new_rows.created.items():
            await new_rows.view.after_model_change(new_rows.values[name], row, True, request)
    for planned, row in written:
        await view.after_model_change(planned.values, row, planned.stored is None, request)
