"""Stored rows that an import may change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.foreign_keys import MAX_IDS_PER_QUERY
from opportune.admin.views import AdminView
from opportune.contrib.import_export.named_columns import key_text, with_names
from opportune.contrib.import_export.targets import Target
from opportune.db.queries.batches import batches_of
from opportune.db.queries.paths import loading_options
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

REPEATED = _l("%(label)s: “%(name)s” is already in row %(line)s.")
AMBIGUOUS = _l("%(label)s: %(number)s rows are named “%(name)s”.")


@dataclass
class StoredRows:
    """Finds the stored row of a line by the natural key of the model."""

    label: str
    """Label of the natural key."""
    names: Mapping[int, str]
    """The natural keys by the numbers of the lines."""
    rows: Mapping[str, Sequence[Any]]
    """The stored rows by their natural keys."""

    @cached_property
    def _first_lines(self) -> dict[str, int]:
        return {name: number for number, name in reversed([*self.names.items()])}

    def find(self, line: int) -> Any:
        """Return the stored row; None if the line is a new row.

        Raises:
            ValidationRefused: An earlier line or several rows have this key.
        """
        name = self.names[line]
        first_line = self._first_lines[name]
        if first_line != line:
            raise ValidationRefused(gettext(REPEATED, label=self.label, name=name, line=first_line))
        rows = self.rows.get(name, ())
        if len(rows) > 1:
            raise ValidationRefused(gettext(AMBIGUOUS, label=self.label, number=len(rows), name=name))
        return rows[0] if rows else None


async def load_stored_rows(
    request: Request, view: AdminView, columns: Mapping[str, Target], key: str, names: Mapping[int, str]
) -> StoredRows:
    """Load the rows with these natural keys, which are given by the numbers of their lines, in a few queries."""
    named_columns = [name for name, target in columns.items() if target.related and target.related.key]
    options = loading_options(view.mapper, [*view.many_to_many, *named_columns])
    statement = view.list_query(request).options(*options)
    rows: dict[str, list[Any]] = {}
    for batch in batches_of(list(dict.fromkeys(names.values())), MAX_IDS_PER_QUERY):
        for row in await view.queries.objects(with_names(statement, view.model, key, batch)):
            rows.setdefault(key_text(getattr(row, key)), []).append(row)
    return StoredRows(view.labels.get(key, key), names, rows)
