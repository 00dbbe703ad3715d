"""The pages of the steps of an import."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.lists.actions import describe_rows, list_url
from opportune.admin.models import ImportFile
from opportune.admin.views import AdminView
from opportune.contrib.import_export.cell_formats import format_choices, guess_formats
from opportune.contrib.import_export.import_rows import ImportRow
from opportune.contrib.import_export.import_run import plan_import, preview_rows
from opportune.contrib.import_export.mapping import Target, empty_form, find_targets, missing_labels, valid_targets
from opportune.contrib.import_export.table import Table, named_cells
from opportune.db.models.columns import natural_key_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n.formats import format_number
from opportune.web import is_htmx

TEMPLATE, STEP_TEMPLATE = "import_export/import.html", "import_export/step.html"
SAMPLE_ROWS = 3
"""Rows of the file beside the choice of columns."""
MAX_SAMPLE_LENGTH = 60
MAX_LISTED_FAULTS = 20


def choose_formats(
    table: Table, names: Sequence[str], targets: Mapping[str, Target], chosen: Sequence[str]
) -> list[tuple[str, bool]]:
    """Return the format of each column, and whether another one would read other values. The user's choice is kept."""
    controls = [targets[name].control if name else None for name in names]
    columns = [(control, [row.cells[position] for row in table.rows]) for position, control in enumerate(controls)]
    guesses = guess_formats(columns)
    formats = []
    for guess, control, choice in zip(guesses, controls, chosen, strict=True):
        is_valid = choice in format_choices(control)
        formats.append((choice if is_valid else guess.format, guess.is_ambiguous))
    return formats


async def columns_page(request: Request, view: AdminView, file: ImportFile, *, status: int = 200) -> Response:
    """Show the choice of a field for each column, and the first rows as they will be read."""
    table = await asyncio.to_thread(Table.load, file.content)
    targets = find_targets(view, await empty_form(request, view))
    choices, context = file.choices, {"error": file.result.get("error", "")}
    try:
        names = valid_targets(choices["columns"], table, targets)
    except FieldErrors as refusal:
        names, context["error"] = [""] * len(table.header), str(refusal)
    chosen = choices["formats"] if len(choices["formats"]) == len(names) else [""] * len(names)
    formats = await asyncio.to_thread(choose_formats, table, names, targets, chosen)
    sample = [ImportRow(row.number, named_cells(row, names)) for row in table.rows[:SAMPLE_ROWS]]
    try:
        choices = {**choices, "columns": names, "formats": [format_ for format_, _ in formats]}
        context |= await _read_sample(request, view, table, choices, sample)
    except FieldErrors as refusal:
        if request.method == "POST":  # before the user has chosen, the page only lists the required fields
            context["error"] = context["error"] or str(refusal)
    columns = [
        {
            "heading": heading,
            "samples": _sample_texts(table, position),
            "target": names[position],
            "formats": format_choices(targets[names[position]].control if names[position] else None),
            "format": formats[position][0],
            "is_ambiguous": formats[position][1],
        }
        for position, heading in enumerate(table.header)
    ]
    return await render_step(
        request,
        view,
        "columns",
        file,
        status=status,
        table=table,
        columns=columns,
        targets=targets.values(),
        missing=missing_labels(names, targets),
        update_key=targets.get(natural_key_of(view.model)) if view.may_edit_any(request) else None,
        updates=choices["updates"],
        **context,
    )


async def _read_sample(
    request: Request, view: AdminView, table: Table, choices: Mapping[str, Any], sample: Sequence[ImportRow]
) -> dict[str, Any]:
    plan = await plan_import(request, view, table, choices)
    await plan.read(sample)
    labels = [target.label for target in plan.columns.values()]
    return {"rows": preview_rows(plan), "faults": plan.faults, "labels": labels}


def _sample_texts(table: Table, position: int) -> list[str]:
    cells = [row.cells[position] for row in table.rows[:SAMPLE_ROWS]]
    texts = [str(cell)[:MAX_SAMPLE_LENGTH] for cell in cells if cell not in (None, "")]
    return [text.encode(errors="replace").decode() for text in texts]  # JSON may have half a character


async def render_step(
    request: Request, view: AdminView, step: str, file: ImportFile | None = None, *, status: int = 200, **context: Any
) -> Response:
    context |= {
        "model_view": view,
        "title": gettext("Import %(names)s", names=view.name_plural),
        "step": step,
        "file": file,
        "amount": describe_rows,
        "list": list_url(request, view),
        "max_faults": MAX_LISTED_FAULTS,
    }
    if file and file.state == "imported":
        context["summary"] = summary_of(view, file.result, file.choices["updates"])
    template = STEP_TEMPLATE if is_htmx(request) else TEMPLATE
    page: Response = await view.templates.TemplateResponse(request, template, context, status)
    return page


def summary_of(view: AdminView, result: Mapping[str, Any], updates: bool) -> str:
    rows = describe_rows(view, result["new"])
    if not updates:
        return gettext("Imported %(rows)s.", rows=rows)
    counts = {name: format_number(result[name]) for name in ("changed", "unchanged")}
    return gettext("Imported %(rows)s, changed %(changed)s; %(unchanged)s unchanged.", rows=rows, **counts)
