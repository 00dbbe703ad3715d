"""Rows of another model, edited in the form of the row they refer to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from opportune.admin.base import Inline
from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import INVALID, AdminForm, add_refusal
from opportune.admin.forms.edit_conflicts import columns_in_form, hash_values, refuse_changed_row
from opportune.admin.forms.files import FileField
from opportune.admin.lists.row_keys import match_primary_keys
from opportune.admin.row_writer import Change, RowWriter
from opportune.admin.views import AdminView, has_changed
from opportune.db.constraint_errors import translate_database_errors
from opportune.errors import FieldErrors
from opportune.i18n import gettext_lazy as _l

MAX_INLINE_ROWS = 50
"""Maximum rows in a form. The form of a parent with more rows has no inline table."""
INVALID_ROWS = _l("Please correct the rows below.")
ROW_IS_GONE = _l("Another user has deleted or moved this row.")


@dataclass
class InlineRow:
    """A line of a table: a stored row or a new one.

    It is created from the database and the submitted page, then validated, and holds the result after it was saved.
    """

    row: Any
    """The stored row; None for a new row."""
    key: str
    """Part of the names of its fields: the primary key, or `new0`."""
    form: AdminForm
    stored: Mapping[str, Any] = field(default_factory=dict)
    """Initial values of the fields."""
    shown: Collection[str] = ()
    """Columns that the user may see."""
    may_change: bool = True
    may_delete: bool = False
    is_submitted: bool = False
    """Whether the submitted page had this row."""
    is_deleted: bool = False
    seen: str = ""
    """Hashes of the values that the user has seen."""
    values: dict[str, Any] = field(default_factory=dict)
    """Values to store."""
    change: Change | None = None
    """Change of the row that was saved."""
    deleted_row: Any = None
    """Row that was deleted."""
    error: str = ""
    """Message for the user about the whole line."""

    def __post_init__(self) -> None:
        if self.row is not None and not self.seen:
            self.seen = hash_values(type(self.form)(data=self.stored) if self.is_submitted else self.form)

    @property
    def is_blank(self) -> bool:
        """Whether this is a line for a new row that the user has not filled in."""
        has_upload = any(isinstance(field, FileField) and field.upload for field in self.form)
        return self.row is None and not has_upload and _form_texts(self.form) == _form_texts(type(self.form)())

    @property
    def is_filled_in(self) -> bool:
        return self.is_submitted and self.may_change and not self.is_deleted and not self.is_blank

    def refuse(self, refusal: FieldErrors) -> None:
        message = add_refusal(self.form, refusal)
        self.error = "" if message == INVALID and self.form.errors else message


@dataclass
class InlineTable:
    """A table below a form, with a line for each row of one model."""

    inline: Inline
    view: AdminView
    prefix: str
    """Start of the names of its fields."""
    lines: list[InlineRow]
    template: InlineRow | None
    """The line that a script copies to add a row; None if the user may not add one."""
    is_sortable: bool
    max_lines: ClassVar[int] = MAX_INLINE_ROWS

    @property
    def columns(self) -> Sequence[str]:
        return inline_columns(self.inline, self.view)

    @property
    def by(self) -> str:
        return self.view.names.of(self.inline.by)

    @property
    def may_delete(self) -> bool:
        return any(line.may_delete for line in self.lines)

    def clean(self) -> bool:
        """Validate all lines and set their values. Return whether all are valid."""
        for line in self.lines:
            try:
                line.values = self._changed_values(line) if line.is_filled_in else {}
            except FieldErrors as refusal:
                line.refuse(refusal)
        if self.inline.sortable:
            self._set_positions()
        return not any(line.error or line.form.errors for line in self.lines)

    async def save(self, session: AsyncSession, request: Request, parent: Any) -> None:
        """Save the lines in the transaction of the parent row.

        Raises:
            ValidationRefused: A line is not valid. Its message is beside it.
        """
        for line in self.lines:
            try:
                with translate_database_errors(self.view.table, deleting=line.is_deleted):
                    await self._save(session, request, parent, line)
            except FieldErrors as refusal:
                line.refuse(refusal)
                raise ValidationRefused(INVALID_ROWS) from refusal

    async def _save(self, session: AsyncSession, request: Request, parent: Any, line: InlineRow) -> None:
        if not line.is_deleted and not line.values:
            return
        writer = self.view.writer(session, request)
        parent_key = self.view.references[self.by].key_of(parent)
        if line.row is None:
            line.change = await writer.add(line.values, {self.by: parent_key})
            return
        row = await self._lock_unchanged(writer, request, parent_key, line)
        if line.is_deleted:
            await writer.delete([row])
            line.deleted_row = row
        else:
            line.change = await writer.change(row, line.values)

    async def _lock_unchanged(self, writer: RowWriter, request: Request, parent_key: Any, line: InlineRow) -> Any:
        """Lock the row of a line, and return it. Refuse it if another user has deleted, moved or changed it."""
        has_key = match_primary_keys(self.view, [line.key])
        rows = self.view.list_query(request).where(has_key, getattr(self.view.model, self.by) == parent_key)
        check = self.view.check_can_delete if line.is_deleted else self.view.check_can_edit
        locked = await writer.lock(rows, check)
        if not locked:
            raise ValidationRefused(ROW_IS_GONE)
        refuse_changed_row(locked[0], columns_in_form(self.view, line.form, line.stored))
        return locked[0]

    async def run_hooks(self, request: Request) -> None:
        for line in self.lines:
            if line.deleted_row is not None:
                await self.view.after_model_delete(line.deleted_row, request)
            elif line.change:
                await line.change.run_hook(self.view, request)

    def _changed_values(self, line: InlineRow) -> dict[str, Any]:
        view = self.view
        values = view.clean(line.form, line.row)
        if line.row is None:
            return values
        return {name: value for name, value in values.items() if has_changed(view, name, line.stored.get(name), value)}

    def _set_positions(self) -> None:
        """Number the lines in the order of the page. Keep stored positions that have this order."""
        saved = [line for line in self.lines if line.row is not None or line.is_filled_in]
        lines = [line for line in saved if not line.is_deleted]
        positions = [None if line.row is None else getattr(line.row, self.inline.sortable) for line in lines]
        for line, old, new in zip(lines, positions, _renumber(positions), strict=True):
            if old != new and (self.is_sortable or line.row is None):
                line.values[self.inline.sortable] = new


def _renumber(positions: Sequence[int | None]) -> list[int]:
    """Return positions in ascending order. A new row has the position None.

    If the stored rows are in order and all new rows follow them, the stored positions stay. Else all rows are numbered.
    """
    stored = [position for position in positions if position is not None]
    is_sorted = stored == sorted({*stored})
    if is_sorted and [*positions[: len(stored)]] == stored:
        first_new = stored[-1] + 1 if stored else 1
        return [*stored, *range(first_new, first_new + len(positions) - len(stored))]
    return [*range(1, len(positions) + 1)]


def inline_columns(inline: Inline, view: AdminView) -> Sequence[str]:
    names = map(view.names.of, inline.columns)
    return [name for name in names if name != inline.sortable and not view.names.hides(name)]


def _form_texts(form: AdminForm) -> dict[str, Any]:
    return {name: "" if value is None else value for name, value in form.data.items()}
