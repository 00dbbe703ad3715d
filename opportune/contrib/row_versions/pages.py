"""Versions on the history page of a row, with their differences, and the page that restores one."""

from collections.abc import Collection, Mapping, Sequence
from difflib import unified_diff
from itertools import islice
from typing import Any, ClassVar, NamedTuple

from sqladmin.authorization import Action
from sqlalchemy import ColumnElement
from sqlmodel import col
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.authorization import may_act
from opportune.admin.base import has_history
from opportune.admin.editing.restore import submit_values
from opportune.admin.extensions import AdminExtension, ModelPage, Slot
from opportune.admin.log.audit import load_emails
from opportune.admin.log.change_rows import list_change_rows, load_reference_names
from opportune.admin.log.diff import Changes
from opportune.admin.models import AuditEntry, RowVersion
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView, unwritable_columns
from opportune.contrib.row_versions import json_values, service
from opportune.db.models.labels import label_of
from opportune.db.models.model import Versioned
from opportune.errors import FieldErrors, Refused, require_found
from opportune.i18n import gettext
from opportune.web.rendering.flash import flash

VERSIONS_PER_PAGE = 30
MAX_SHORT_LENGTH = 80
"""Maximum characters of values that are shown beside each other. Longer texts are compared line by line."""
MAX_LINES = 60
MAX_COMPARED_LINES = 1_000
"""Maximum lines to compare, from the first that differs. The time grows with the square of their number."""
MAX_LINE_LENGTH = 5_000


class Difference(NamedTuple):
    label: str
    before: str
    after: str
    lines: Sequence[tuple[str, str]]
    """Lines of a long text that were added (`+`), removed (`-`) or are near. Empty for short values."""


class VersionEntry(NamedTuple):
    version: RowVersion
    author: str
    """E-mail address of the user."""
    differences: Sequence[Difference]
    is_newest: bool


def has_versions(view: AdminView) -> bool:
    """Return whether the history page shows versions that can be restored."""
    return has_history(view) and issubclass(view.model, Versioned)


async def load_versions(request: Request, view: AdminView, row: Any, *, may_restore: bool) -> dict[str, Any]:
    """Return the template variables with the newest versions of a row, or with those before `?version=`."""
    if row is None or not has_versions(view):
        return {}
    selected = service.select_versions(*service.row_key(row))
    newest = await view.queries.objects(selected.limit(1))
    before = _parse_number(request.query_params.get("version", ""))
    if before is not None:
        selected = selected.where(col(RowVersion.number) < before)
    rows = await view.queries.objects(selected.limit(VERSIONS_PER_PAGE + 1))
    page = rows[:VERSIONS_PER_PAGE]
    pairs = zip(page, [*rows[1:], None], strict=False)  # each version with the one before it
    changes = [service.find_changes(old.values, new.values) if old else {} for new, old in pairs]
    authors = await load_emails(view, (version.actor_id for version in page))
    return {
        "versions": [
            VersionEntry(version, authors.get(version.actor_id, ""), fields, is_newest=version.id == newest[0].id)
            for version, fields in zip(page, await list_differences(request, view, changes), strict=True)
        ],
        "older_versions": page[-1].number if len(rows) > len(page) else None,
        "may_restore": may_restore and view.can_edit and await view.check_can_edit(request, row),
    }


def _parse_number(text: str) -> int | None:
    """Return the number of a version in a URL; None if it is not one that a database can store."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


async def list_differences(
    request: Request, view: AdminView, recorded: Sequence[Changes]
) -> Sequence[Sequence[Difference]]:
    """Return the differences that the user may see, for each of these changes."""
    names = await load_reference_names(request, recorded, view)
    rows = [list_change_rows(changes, view, names) for changes in recorded]
    return [[Difference(label, old, new, _compare_lines(old, new)) for label, old, new in row] for row in rows]


def _compare_lines(before: str, after: str) -> Sequence[tuple[str, str]]:
    if max(len(before), len(after)) <= MAX_SHORT_LENGTH and "\n" not in before + after:
        return ()
    old, new = _from_first_difference(before.splitlines(), after.splitlines())
    lines = islice(unified_diff(old, new, n=1, lineterm=""), 2, None)  # without the names of files
    changes = (line for line in lines if not line.startswith("@@"))
    return [(line[:1], line[1 : MAX_LINE_LENGTH + 1]) for line in islice(changes, MAX_LINES)]


def _from_first_difference(before: Sequence[str], after: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the lines to compare, which begin one line before the first difference."""
    pairs = enumerate(zip(before, after, strict=False))
    first = next((number for number, (old, new) in pairs if old != new), min(len(before), len(after)))
    compared = slice(max(first - 1, 0), first + MAX_COMPARED_LINES)
    return before[compared], after[compared]


async def version_page(request: Request, view: AdminView) -> Response:
    """Show what a version would change, or restore it once the user has confirmed."""
    row = await _find_row(request, view)
    version = await _find_version(request, view, row)
    try:
        async with view.site.database.reader(fresh=True) as session:
            values = await service.restorable_values(session, row, version)
    except Refused as refusal:
        flash(request, str(refusal), "danger")
        return RedirectResponse(_history_url(request, view), 303)
    fields = {*view.names.in_form} - {*unwritable_columns(request, view, row)}
    restored = {name: value for name, value in values.items() if name in fields}
    error = ""
    if request.method == "POST":
        try:
            await submit_values(request, view, restored)
        except FieldErrors as refusal:
            error = str(refusal)
        else:
            flash(request, gettext("Version %(number)s was restored.", number=version.number))
            return RedirectResponse(_history_url(request, view), 303)
    return await _render(request, view, row, version, restored, error, left_out=values.keys() - fields)


async def _find_row(request: Request, view: AdminView) -> Any:
    """Return the row if the user may see its history and change it."""
    if not has_versions(view):
        raise HTTPException(404)
    if not (view.can_edit and may_act(request, view, Action.DETAILS)):
        raise HTTPException(403)
    row = require_found(await view.get_object_for_edit(request))
    if not (await view.check_can_edit(request, row) and await view.check_can_view_details(request, row)):
        raise HTTPException(403)
    return row


async def _find_version(request: Request, view: AdminView, row: Any) -> RowVersion:
    number = _parse_number(request.query_params.get("number", ""))
    found: list[RowVersion] = [] if number is None else await view.queries.objects(service.select_version(row, number))
    return require_found(next(iter(found), None))


async def _render(
    request: Request,
    view: AdminView,
    row: Any,
    version: RowVersion,
    values: Mapping[str, Any],
    error: str,
    *,
    left_out: Collection[str],
) -> Response:
    model = view.model
    changes = {name: [json_values.to_json(model, name, getattr(row, name)), version.values[name]] for name in values}
    (differences,) = await list_differences(request, view, [changes])
    context = {
        "row": row,
        "version": version,
        "differences": differences,
        "left_out": sorted(view.labels.get(name, label_of(name)) for name in left_out if not view.names.hides(name)),
        "error": error,
        "history_url": _history_url(request, view),
    }
    return await render_page(request, view, "row_versions/version.html", context, 400 if error else 200)


def _history_url(request: Request, view: AdminView) -> str:
    return str(request.url_for("admin:history", identity=view.identity, pk=request.path_params["pk"]))


class RowVersionsExtension(AdminExtension):
    pages = (ModelPage("version/{pk:path}", version_page, ["GET", "POST"], "version", requires_list=False),)
    slots: ClassVar[Mapping[Slot, str]] = {"history": "row_versions/history.html"}

    async def log_condition(self, request: Request, view: Any, row: Any) -> ColumnElement[bool] | None:
        """Leave out the changes that the page shows as versions."""
        if row is None or not has_versions(view):
            return None
        oldest = service.select_versions(*service.row_key(row)).order_by(None).order_by(col(RowVersion.id)).limit(1)
        is_change = col(AuditEntry.action).in_(("create", "update"))
        versions = await view.queries.objects(oldest)
        return ~is_change | (col(AuditEntry.at) < versions[0].at) if versions else None

    versions_of = staticmethod(load_versions)
