"""Stored rows that an import may change."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.foreign_keys import MAX_IDS_PER_QUERY
from opportune.admin.views import AdminView
from opportune.contrib.import_export.named_columns import key_text, normal_name, with_names
from opportune.contrib.import_export.table import ImportRow
from opportune.contrib.import_export.targets import Target
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

REPEATED = _l("%(label)s: “%(name)s” is already in row %(line)s.")
AMBIGUOUS = _l("%(label)s: %(number)s rows are named “%(name)s”.")


class StoredRows:
    """Finds the stored row of a line by the natural key of the model."""

    def __init__(self, view: AdminView, key: str, lines: Sequence[ImportRow], rows: Sequence[Any]) -> None:
        self._model = view.model
        self._key = key
        self._label = view.labels.get(key, key)
        self._first_lines = {_name_in(line, view.model, key): line.number for line in reversed(lines)}
        self._rows: dict[str, list[Any]] = {}
        for row in rows:
            self._rows.setdefault(key_text(getattr(row, key)), []).append(row)

    def find(self, line: ImportRow) -> Any:
        """Return the stored row; None if the line is a new row.

        Raises:
            ValidationRefused: An earlier line or several rows have this key.
        """
        name = _name_in(line, self._model, self._key)
        first_line = self._first_lines[name]
        if first_line != line.number:
            raise ValidationRefused(gettext(REPEATED, label=self._label, name=name, line=first_line))
        rows = self._rows.get(name, [])
        if len(rows) > 1:
            raise ValidationRefused(gettext(AMBIGUOUS, label=self._label, number=len(rows), name=name))
        return rows[0] if rows else None


def _name_in(line: ImportRow, model: type[Any], key: str) -> str:
    cell = line.cells.get(key)
    return normal_name(model, key, "" if cell is None else str(cell))


async def load_stored_rows(
    request: Request, view: AdminView, columns: Mapping[str, Target], key: str, lines: Sequence[ImportRow]
) -> StoredRows:
    """Load the rows whose natural keys are in the file, in a few queries."""
    named_columns = [name for name, target in columns.items() if target.related and target.related.key]
    options = loading_options(view.mapper, [*view.many_to_many, *named_columns])
    statement = view.list_query(request).options(*options)
    names = list(dict.fromkeys(_name_in(line, view.model, key) for line in lines))
    rows: list[Any] = []
    for batch in batches_of(names, MAX_IDS_PER_QUERY):
        rows += await view.queries.objects(with_names(statement, view.model, key, batch))
    return StoredRows(view, key, lines, rows)
