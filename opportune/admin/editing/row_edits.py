"""Changes to some columns of stored rows, validated like the whole form and saved in one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal, keep_unsent, without_fields
from opportune.admin.forms.edit_conflicts import find_changed_fields, hash_field
from opportune.admin.forms.foreign_keys import MAX_IDS_PER_QUERY
from opportune.admin.forms.inlines import INVALID_ROWS
from opportune.admin.lists.actions import selected_rows
from opportune.admin.lists.columns import listed_columns
from opportune.admin.lists.display import title_for
from opportune.admin.lists.row_keys import key_of, match_primary_keys
from opportune.admin.log import diff
from opportune.admin.row_writer import Change
from opportune.admin.views import AdminView, build_form_class, has_changed, unwritable_columns
from opportune.db.constraint_errors import translate_database_errors
from opportune.db.queries.batches import batches_of
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.web.forms.seen_values import SEEN_FIELD, parse_hashes

MAX_ROWS_SAVED_SINGLY = 100
"""Up to this number, rows are saved one by one, so that an error of the database names its row."""
ROW_IS_GONE = _l("Another user has deleted this row.")
NOT_ALLOWED = _l("You may not change this row.")
NOT_EDITABLE = _l("This cannot be changed.")


@dataclass
class RowEdit:
    """The submitted texts of some columns of a row, and the values to store."""

    pk: str
    columns: Sequence[str]
    sent: FormData
    """The submitted texts, with the prefix of the row in their names."""
    prefix: str = ""
    """Prefix of the names of form fields; by default `prefix_of(pk)`."""
    checks_seen: bool = True
    """Whether to refuse columns that another user has changed after this page was loaded."""
    form: AdminForm | None = None
    row: Any = None
    title: str = ""
    stored: Mapping[str, Any] = field(default_factory=dict)
    """Values of the form before the change."""
    values: dict[str, Any] = field(default_factory=dict)
    """Changed values, to store."""
    conflicts: Sequence[str] = ()
    """Columns that another user has changed after this page was loaded."""
    error: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Messages by column about pasted texts that the fields cannot hold."""
    is_gone: bool = False
    snapshot: diff.Values | None = None
    """Values of the row when it was validated."""

    def __post_init__(self) -> None:
        self.prefix = self.prefix or prefix_of(self.pk)

    @property
    def is_refused(self) -> bool:
        return bool(self.error or self.faults or self.conflicts or (self.form and self.form.errors))

    @property
    def seen(self) -> str:
        """Hashes of the values that the page showed."""
        return str(self.sent.get(self.prefix + SEEN_FIELD, ""))

    def error_of(self, column: str) -> str:
        if column in self.faults:
            return self.faults[column]
        errors = self.form[column].errors if self.form and column in self.form else ()
        return " ".join(map(str, errors))

    def other_errors(self, columns: Sequence[str]) -> str:
        """Return the message about the row and about fields that are not beside these columns."""
        if not (self.form and self.form.errors):
            return self.error
        fields = [field for field in self.form if field.errors and field.short_name not in columns]
        return " ".join(f"{field.label.text}: {' '.join(map(str, field.errors))}" for field in fields)

    def stored_value(self, name: str) -> Any:
        """Return the value before the change."""
        return self.stored[name] if name in self.stored else getattr(self.row, name, None)

    def refuse(self, refusal: FieldErrors) -> None:
        self.error = add_refusal(self.form, refusal) if self.form else gettext(str(refusal))


def prefix_of(pk: str) -> str:
    return f"{pk}-"


def seen_field(pk: str) -> str:
    """Return the name of the hidden field with the hashes of the values that the page showed of a row."""
    return prefix_of(pk) + SEEN_FIELD


async def load_rows(request: Request, view: AdminView, pks: Sequence[str]) -> dict[str, Any]:
    """Return the rows with these keys that are in the list, by key, with all that the list and the form show."""
    names = [*listed_columns(request, view), *view.many_to_many]
    statement = view.list_query(request).where(match_primary_keys(view, pks)).options(*view.queries.loading(names))
    async with view.site.database.reader(fresh=True) as session:
        return {key_of(row): row for row in (await session.scalars(statement)).unique()}


class RowEditor:
    """Validates and saves edits of the rows of a view."""

    def __init__(self, request: Request, view: AdminView, form_class: type[AdminForm]) -> None:
        self.request = request
        self.view = view
        self.form_class = form_class

    @classmethod
    async def for_request(cls, request: Request, view: AdminView) -> "RowEditor":
        return cls(request, view, await build_form_class(request, view, creating=False))

    async def open(self, row: Any) -> AdminForm:
        """Return the form of a row with its stored values, without fields that the user may not change."""
        edit = RowEdit(key_of(row), (), FormData())
        edit.stored = await self.view.get_form_data_for_edit(row)
        return self._fill(edit, row)

    def _fill(self, edit: RowEdit, row: Any) -> AdminForm:
        form_class = without_fields(self.form_class, unwritable_columns(self.request, self.view, row))
        form = form_class(edit.sent if edit.columns else None, data=edit.stored, prefix=edit.prefix)
        if edit.columns:
            keep_unsent(form, {edit.prefix + name for name in edit.columns}, is_stored=True)
        return form

    async def plan(self, edit: RowEdit, row: Any) -> None:
        """Validate an edit of this row. Set the values to store, or the messages."""
        edit.row = row
        edit.snapshot = diff.snapshot(row)
        edit.values = {}
        edit.conflicts = ()
        edit.error = ""
        edit.title = await title_for(self.request, self.view, row)
        if not await self.view.check_can_edit(self.request, row):
            edit.error = NOT_ALLOWED
            return
        edit.stored = await self.view.get_form_data_for_edit(row)
        edit.form = self._fill(edit, row)
        if locked := [name for name in edit.columns if name not in edit.form]:
            edit.error = f"{self.view.labels.get(locked[0], locked[0])}: {NOT_EDITABLE}"
        elif edit.checks_seen:
            self._leave_out_unchanged(edit, row)
        if edit.columns and not edit.error:
            self._clean(edit, row)

    def _leave_out_unchanged(self, edit: RowEdit, row: Any) -> None:
        """Keep the stored values of columns whose text is still the one that the page showed."""
        form = cast("AdminForm", edit.form)
        seen = parse_hashes(edit.seen)
        changed = [name for name in edit.columns if hash_field(form[name]) != seen.get(name)]
        stored = type(form)(data=edit.stored)
        edit.conflicts = [name for name in find_changed_fields(form, stored, edit.seen) if name in changed]
        if changed != list(edit.columns):
            edit.columns = changed
            edit.form = self._fill(edit, row)

    def _clean(self, edit: RowEdit, row: Any) -> None:
        form = cast("AdminForm", edit.form)
        try:
            values = self.view.clean(form, row)
        except FieldErrors as refusal:
            edit.refuse(refusal)
            return
        edit.values = {
            name: value
            for name, value in values.items()
            if has_changed(self.view, name, edit.stored_value(name), value)
        }

    async def save(self, edits: Sequence[RowEdit]) -> Sequence[RowEdit]:
        """Save all edits or none. Return those that changed their row.

        Raises:
            FieldErrors: An edit was refused. Each edit has its messages.
        """
        with translate_database_errors(self.view.table):
            async with self.view.site.database.writer() as session:
                await self._plan_locked(session, edits)
                if any(edit.is_refused for edit in edits):
                    raise ValidationRefused(INVALID_ROWS)
                changed = [edit for edit in edits if edit.values]
                changes = await self._write(session, changed)
        for change in changes:
            await change.run_hook(self.view, self.request)
        return changed

    async def _plan_locked(self, session: AsyncSession, edits: Sequence[RowEdit]) -> None:
        has_key = match_primary_keys(self.view, [edit.pk for edit in edits])
        query = self.view.list_query(self.request).where(has_key)
        locked = await self.view.writer(session, self.request).lock(query, _accept)  # `plan` checks permissions
        rows = {key_of(row): row for row in locked}
        for edit in edits:
            if (row := rows.get(edit.pk)) is None:
                edit.is_gone = not await selected_rows(self.request, self.view, [edit.pk])
                edit.error = ROW_IS_GONE if edit.is_gone else NOT_ALLOWED
            elif edit.snapshot is not None and edit.snapshot == diff.snapshot(row):
                edit.row = row  # validated before the transaction, which blocks all other writers on SQLite
            else:
                await self.plan(edit, row)

    async def _write(self, session: AsyncSession, edits: Sequence[RowEdit]) -> list[Change]:
        for name, lookup in self.view.references.items():
            ids = {edit.values[name] for edit in edits if edit.values.get(name) is not None}
            if ids:
                await lookup.preload(session, self.request, sorted(ids))
        writer = self.view.writer(session, self.request)
        changes: list[Change] = []
        for batch in batches_of(edits, MAX_IDS_PER_QUERY if len(edits) > MAX_ROWS_SAVED_SINGLY else 1):
            await asyncio.sleep(0)  # let other requests run
            try:
                with translate_database_errors(self.view.table):
                    changes += await writer.save_all([(edit.row, edit.values) for edit in batch])
            except FieldErrors as refusal:
                if len(batch) == 1:
                    batch[0].refuse(refusal)
                raise
        return changes


async def _accept(_request: Request, _row: Any) -> bool:
    return True
