"""Versions on the history page of a row, each with its differences from the version before."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import unified_diff
from typing import Any, NamedTuple

from sqlmodel import col
from starlette.requests import Request

from opportune.admin.log.authors import load_emails
from opportune.admin.log.change_rows import list_change_rows, load_reference_names
from opportune.admin.log.diff import Changes
from opportune.admin.row_versions.models import RowVersion
from opportune.admin.row_versions.service import row_key, select_versions
from opportune.admin.row_versions.values import find_changes
from opportune.admin.views import AdminView

VERSIONS_PER_PAGE = 30
MAX_SHORT_LENGTH = 80
"""Maximum characters of values that are shown beside each other. Longer texts are compared line by line."""
MAX_LINES = 60
"""Maximum lines of a difference."""
MAX_COMPARED_LINES = 1_000
"""Maximum lines to compare, from the first that differs. The time grows with the square of their number."""
MAX_LINE_LENGTH = 5_000
"""Maximum characters of a line."""


class Difference(NamedTuple):
    """Old and new value of a column."""

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


async def load_versions(request: Request, view: AdminView, row: Any, *, may_restore: bool) -> dict[str, Any]:
    """Return the template variables with the newest versions of a row, or with those before `?version=`."""
    if row is None or not view.has_versions:
        return {}
    before = request.query_params.get("version", "")
    selected = select_versions(*row_key(row))
    newest = await view.fetch_rows(selected.limit(1))
    if before.isdecimal() and len(before) < 10:
        selected = selected.where(col(RowVersion.number) < int(before))
    rows = await view.fetch_rows(selected.limit(VERSIONS_PER_PAGE + 1))
    page = rows[:VERSIONS_PER_PAGE]
    changes = [find_changes(old.values, new.values) if old else {} for new, old in _with_previous(page, rows)]
    authors = await load_emails(view, (version.actor_id for version in page))
    differences = await list_differences(request, view, changes)
    return {
        "versions": [
            VersionEntry(version, authors.get(version.actor_id, ""), fields, is_newest=version.id == newest[0].id)
            for version, fields in zip(page, differences, strict=True)
        ],
        "older_versions": page[-1].number if len(rows) > len(page) else None,
        "may_restore": may_restore and view.can_edit and await view.check_can_edit(request, row),
    }


async def first_version_time(view: AdminView, row: Any) -> datetime | None:
    """Return the time of the first version. None if the row has no versions."""
    if row is None or not view.has_versions:
        return None
    oldest = select_versions(*row_key(row)).order_by(None).order_by(col(RowVersion.id)).limit(1)
    return next((version.at for version in await view.fetch_rows(oldest)), None)


def _with_previous(
    page: Sequence[RowVersion], rows: Sequence[RowVersion]
) -> Iterator[tuple[RowVersion, RowVersion | None]]:
    for index, version in enumerate(page):
        yield version, rows[index + 1] if index + 1 < len(rows) else None


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
    lines = [*unified_diff(old, new, n=1, lineterm="")][2:]
    return [(line[:1], line[1 : MAX_LINE_LENGTH + 1]) for line in lines if not line.startswith("@@")][:MAX_LINES]


def _from_first_difference(before: Sequence[str], after: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the lines to compare, which begin one line before the first difference."""
    pairs = enumerate(zip(before, after, strict=False))
    first = next((number for number, (old, new) in pairs if old != new), min(len(before), len(after)))
    compared = slice(max(first - 1, 0), first + MAX_COMPARED_LINES)
    return before[compared], after[compared]
