"""The pages of the steps of an import."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import may_edit_any
from opportune.admin.lists.actions import describe_rows, list_url
from opportune.admin.models import ImportFile
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView
from opportune.contrib.import_export.cell_formats import Guess, format_choices, guess_formats
from opportune.contrib.import_export.import_run import plan_import, preview_rows
from opportune.contrib.import_export.table import Table, named_rows
from opportune.contrib.import_export.targets import Target, find_targets, missing_labels, require_targets
from opportune.db.models.columns import natural_key_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext, lower_name
from opportune.i18n.formats import format_number
from opportune.web import is_htmx
from opportune.web.forms.controls import Control

TEMPLATE = "import_export/import.html"
STEP_TEMPLATE = "import_export/step.html"
SAMPLE_ROWS = 3
"""Rows of the file beside the choice of columns."""
MAX_SAMPLE_LENGTH = 60
MAX_LISTED_FAULTS = 20
MAX_LISTED_RANGES = 10
"""Ranges of lines before a message that many lines have."""


def choose_formats(
    table: Table, names: Sequence[str], targets: Mapping[str, Target], chosen: Sequence[str] = ()
) -> list[Guess]:
    """Return the format of each column. Those that the user has chosen are kept if they are still possible."""
    controls = _controls_of(names, targets)
    columns = [(control, [row.cells[position] for row in table.rows]) for position, control in enumerate(controls)]
    guesses = guess_formats(columns)
    for position, choice in enumerate(chosen):
        if choice in format_choices(controls[position]):
            guesses[position] = guesses[position]._replace(format=choice)
    return guesses


def _controls_of(names: Sequence[str], targets: Mapping[str, Target]) -> list[Control | None]:
    return [targets[name].control if name else None for name in names]


async def columns_page(request: Request, view: AdminView, file: ImportFile, *, status: int = 200) -> Response:
    """Show the choice of a field for each column, and the first rows as they will be read."""
    table = await asyncio.to_thread(Table.load, file.content)
    targets = await find_targets(request, view)
    choices = file.choices
    error = file.result.get("error", "")
    try:
        names = require_targets(choices["columns"], table, targets)
    except FieldErrors as refusal:
        names = [""] * len(table.header)
        error = str(refusal)
    chosen = choices["formats"] if len(choices["formats"]) == len(names) else ()
    formats = await asyncio.to_thread(choose_formats, table, names, targets, chosen)
    choices = {**choices, "columns": names, "formats": [guess.format for guess in formats]}
    sample: dict[str, Any] = {}
    try:
        sample = await _read_sample(request, view, table, choices)
    except FieldErrors as refusal:
        if request.method == "POST":  # before the user has chosen, the page only lists the required fields
            error = error or str(refusal)
    return await render_step(
        request,
        view,
        "columns",
        file,
        status=status,
        table=table,
        columns=_describe_columns(table, names, targets, formats),
        targets=targets.values(),
        missing=missing_labels(names, targets),
        update_key=targets.get(natural_key_of(view.model)) if may_edit_any(request, view) else None,
        updates=choices["updates"],
        error=error,
        **sample,
    )


def _describe_columns(
    table: Table, names: Sequence[str], targets: Mapping[str, Target], formats: Sequence[Guess]
) -> list[dict[str, Any]]:
    columns = zip(table.header, names, _controls_of(names, targets), formats, strict=True)
    return [
        {
            "heading": heading,
            "samples": _sample_texts(table, position),
            "target": name,
            "type": control.type if control else "",
            "formats": format_choices(control),
            "format": guess.format,
            "is_ambiguous": guess.is_ambiguous,
        }
        for position, (heading, name, control, guess) in enumerate(columns)
    ]


async def _read_sample(request: Request, view: AdminView, table: Table, choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first rows as they will be read.

    Raises:
        FieldErrors: The choices do not fit the file or the model.
    """
    plan = await plan_import(request, view, table, choices)
    await plan.read(named_rows(table.rows[:SAMPLE_ROWS], choices["columns"]))
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
        "title": gettext("Import %(names)s", names=lower_name(view.name_plural)),
        "step": step,
        "file": file,
        "amount": describe_rows,
        "list": list_url(request, view),
        "group_faults": group_faults,
        "max_faults": MAX_LISTED_FAULTS,
    }
    if file and file.state == "imported":
        context["summary"] = summary_of(view, file.result, updates=file.choices["updates"])
    return await render_page(request, view, STEP_TEMPLATE if is_htmx(request) else TEMPLATE, context, status)


class FaultGroup(NamedTuple):
    """Lines with the same fault."""

    numbers: Sequence[int]
    ranges: str
    """The numbers as a text such as `2-4, 9`."""
    message: str


def group_faults(faults: Sequence[tuple[int, str]]) -> list[FaultGroup]:
    """Return each message once."""
    numbers_by_message: dict[str, list[int]] = {}
    for number, message in faults:
        numbers_by_message.setdefault(message, []).append(number)
    return [FaultGroup(numbers, _join_ranges(numbers), message) for message, numbers in numbers_by_message.items()]


def _join_ranges(numbers: Sequence[int]) -> str:
    """Return increasing numbers as a text such as `2-4, 9`."""
    by_distance = groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ranges = [[number for _, number in pairs] for _, pairs in by_distance]
    texts = [f"{first}\N{EN DASH}{rest[-1]}" if rest else str(first) for first, *rest in ranges]
    if len(texts) > MAX_LISTED_RANGES:
        texts[MAX_LISTED_RANGES:] = ["…"]
    return ", ".join(texts)


def summary_of(view: AdminView, result: Mapping[str, Any], *, updates: bool) -> str:
    rows = describe_rows(view, result["new"])
    if not updates:
        return gettext("Imported %(rows)s.", rows=rows)
    counts = {name: format_number(result[name]) for name in ("changed", "unchanged")}
    return gettext("Imported %(rows)s, changed %(changed)s; %(unchanged)s unchanged.", rows=rows, **counts)
