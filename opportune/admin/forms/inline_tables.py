"""The tables of inline rows in a form, built from the database and from the submitted page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqladmin.authorization import Action
from sqlalchemy import true
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.authorization import may_create, may_delete_any, may_edit_any
from opportune.admin.base import Inline
from opportune.admin.forms import edit_conflicts
from opportune.admin.forms.admin_form import AdminForm, without_fields
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.forms.inline_models import inlines_of
from opportune.admin.forms.inlines import MAX_INLINE_ROWS, ROW_IS_GONE, InlineRow, InlineTable, inline_columns
from opportune.admin.forms.submitted_lines import NEW_KEY, SubmittedLines, edits_lines, unused_key
from opportune.admin.lists.row_keys import KEY, key_of, match_primary_keys, writable_keys
from opportune.admin.views import AdminView, build_form_class, shown_fields, unwritable_columns
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_list

TEMPLATE_KEY = "new__"
"""Key of the line that a script copies. The script replaces it by `new2`, for example."""
ADD_AGAIN = _l("Another user has deleted this row. Save again to add it as a new row, or remove it.")


def inline_file_fields(parent: AdminView) -> dict[str, int]:
    """Return patterns for the names of file fields, each with the maximum number of files in a form."""
    return {
        f"{re.escape(prefix)}-{KEY}-{re.escape(name)}": 2 * MAX_INLINE_ROWS
        for inline, view, prefix in inlines_of(parent)
        for name in view.files.keys() & set(inline_columns(inline, view))
    }


async def inline_tables(
    request: Request, parent: AdminView, row: Any, form_data: FormData | None = None
) -> Sequence[InlineTable]:
    """Return the tables that the user may edit, filled from the database or the form. `row` is None for a new row."""
    builders = [
        _TableBuilder(request, inline, view, SubmittedLines(form_data, prefix))
        for inline, view, prefix in inlines_of(parent)
    ]
    tables = [await builder.build(row) for builder in builders if await builder.may_edit()]
    return [table for table in tables if table]


@dataclass(frozen=True)
class _TableBuilder:
    """Builds the table of one inline from the request and the submitted form."""

    request: Request
    inline: Inline
    view: Any
    submitted: SubmittedLines
    form_classes: dict[tuple[bool, frozenset[str]], type[AdminForm]] = field(default_factory=dict)
    """Forms of lines, by whether the row is new and the fields left out."""

    async def may_edit(self) -> bool:
        if self.view.names.hides(self.view.names.of(self.inline.by)) or not self.view.is_accessible(self.request):
            return False
        return may_edit_any(self.request, self.view) or await may_create(self.request, self.view)

    async def build(self, parent: Any) -> InlineTable | None:
        rows = await self._load_rows(parent) if parent is not None else []
        if len(rows) > MAX_INLINE_ROWS:
            if not self.submitted.keys:
                return None
            rows = await self._load_rows(parent, self.submitted.pks)  # other users have added rows since
        await self._load_references(rows)
        lines = [await self._build_stored_line(row, is_writable=is_writable) for row, is_writable in rows]
        template = None
        may_add = await may_create(self.request, self.view)
        if may_add:
            template = await self._build_new_line(TEMPLATE_KEY)
            lines += [await self._build_new_line(key) for key in self.submitted.new_keys(self.inline.extra)]
        if parent is not None:
            lines += await self._restore_deleted_lines(lines, ADD_AGAIN if may_add else ROW_IS_GONE)
        elif may_add:
            lines += [await self._build_new_line(key) for key, _ in self.submitted.stored_keys()]  # of a copied parent
        prefix = self.submitted.prefix
        return self._sorted(InlineTable(self.inline, self.view, prefix, lines, template, is_sortable=False))

    async def _load_rows(self, parent: Any, pks: Sequence[str] | None = None) -> list[tuple[Any, bool]]:
        """Return the rows that the user may see, each with whether the rules of `crud` let the user change it.

        `pks` limits them to rows with these keys.
        """
        request = self.request
        view = self.view
        if not (view.has_permission(request, Action.EDIT) or await view.check_can_list(request)):
            return []
        by = view.names.of(self.inline.by)
        is_child = getattr(view.model, by) == view.references[by].key_of(parent)
        children = view.list_query(request).where(is_child, true() if pks is None else match_primary_keys(view, pks))
        linked = view.many_to_many.keys() & set(view.names.in_form)
        children = children.options(*view.queries.loading(list(linked)))
        order = [getattr(view.model, self.inline.sortable)] if self.inline.sortable else []
        children = children.order_by(None).order_by(*order, *view.pk_columns).limit(MAX_INLINE_ROWS + 1)
        rows = await view.queries.objects(children)
        writable = await writable_keys(request, view, [*map(key_of, rows)])
        return [(row, key_of(row) in writable) for row in rows]

    async def _load_references(self, rows: Sequence[tuple[Any, bool]]) -> None:
        """Load the rows that all lines refer to, in one query per column instead of one per line."""
        names = inline_columns(self.inline, self.view)
        await load_references(self.request, self.view, names, [row for row, _ in rows])
        for name in self.view.many_to_many.keys() & {*names}:
            lookup = self.view.many_to_many[name]
            loaded = lookup.loaded_rows(self.request)
            loaded.update((lookup.key_of(other), other) for row, _ in rows for other in getattr(row, name))

    async def _form_class(self, row: Any, *, is_readonly: bool = False) -> type[AdminForm]:
        """Return the form of a line: the columns of the inline that the user may change."""
        columns = () if is_readonly else inline_columns(self.inline, self.view)
        omitted = {name for name in (*self.view.names.in_form, *self.view.form_extension.names) if name not in columns}
        omitted.update(unwritable_columns(self.request, self.view, row))
        key = row is None, frozenset(omitted)
        if key not in self.form_classes:
            form_class = await build_form_class(self.request, self.view, creating=row is None)
            self.form_classes[key] = without_fields(form_class, omitted)
        return self.form_classes[key]

    async def _build_stored_line(self, row: Any, *, is_writable: bool) -> InlineRow:
        request = self.request
        view = self.view
        key = key_of(row)
        may_change = is_writable and may_edit_any(request, view) and await view.check_can_edit(request, row)
        may_delete = is_writable and may_delete_any(request, view) and await view.check_can_delete(request, row)
        form_class = await self._form_class(row, is_readonly=not may_change)
        initial = await view.get_form_data_for_edit(row)
        form, is_submitted = self._bind(form_class, key, initial)
        line = InlineRow(
            row,
            key,
            form,
            initial,
            shown_fields(request, view, row),
            may_change,
            may_delete,
            is_submitted,
            is_deleted=may_delete and bool(self.submitted.value(f"{key}-delete")),
            seen=self.submitted.seen(key),
        )
        await self._find_conflict(line)
        return line

    async def _find_conflict(self, line: InlineRow) -> None:
        """Refuse to overwrite or delete values that another user has changed. The next submission overwrites them."""
        if not (line.is_submitted and line.may_change) or edits_lines(self.submitted.form_data):
            return
        stored = type(line.form)(data=line.stored)
        has_edited = line.is_deleted or edit_conflicts.is_edited(line.form, line.seen)
        changed = edit_conflicts.find_changed_fields(line.form, stored, line.seen)
        edit_conflicts.use_stored_values(line.form, stored, changed)
        if changed and has_edited:
            line.error = await self._describe_conflict(line, changed)
            line.seen = edit_conflicts.hash_values(stored)

    async def _describe_conflict(self, line: InlineRow, changed: Mapping[str, bool]) -> str:
        conflicts = await edit_conflicts.describe_conflicts(self.request, self.view, line.key, changed)
        authors = format_list([*dict.fromkeys(conflict.author for conflict in conflicts)])
        change = gettext("%(authors)s has changed this row.", authors=authors)
        values = {name: await edit_conflicts.stored_text(self.request, self.view, line.row, name) for name in changed}
        texts = [f"{line.form[name].label.text}: {value}." for name, value in values.items()]
        repeat = gettext("Save again to delete it.") if line.is_deleted else gettext("Save again to keep your text.")
        return " ".join([change, *texts, repeat])

    async def _build_new_line(self, key: str, form_data: FormData | None = None) -> InlineRow:
        form_class = await self._form_class(None)
        form, is_submitted = self._bind(form_class, key, {}, form_data)
        shown = inline_columns(self.inline, self.view)
        return InlineRow(None, key, form, {}, shown, is_submitted=is_submitted, seen=self.submitted.seen(key))

    def _bind(
        self, form_class: type[AdminForm], key: str, initial: Any, form_data: FormData | None = None
    ) -> tuple[AdminForm, bool]:
        """Return the form of a line, and whether the submitted page had the line."""
        prefix = f"{self.submitted.prefix}-{key}-"
        data = self.submitted.form_data if form_data is None else form_data
        # If the submitted page did not have the row, its checkboxes must not count as unchecked.
        is_submitted = data is not None and any(name.startswith(prefix) for name in data)
        return form_class(data if is_submitted else None, data=initial, prefix=prefix), is_submitted

    async def _restore_deleted_lines(self, lines: Sequence[InlineRow], error: str) -> list[InlineRow]:
        """Return new lines with the user's text in rows that no longer exist."""
        restored: list[InlineRow] = []
        keys = [line.key for line in lines]
        for key, seen in self.submitted.stored_keys():
            new_key = unused_key([*filter(NEW_KEY.fullmatch, keys)])
            line = await self._build_new_line(new_key, self.submitted.renamed(key, new_key))
            if key not in keys and edit_conflicts.is_edited(line.form, seen):
                line.error = error
                restored.append(line)
                keys.append(new_key)
        return restored

    def _sorted(self, table: InlineTable) -> InlineTable:
        """Put the lines in the order of the page, if the user may sort them."""
        name = self.inline.sortable
        rows = [line.row for line in table.lines] or [None]
        is_locked = any(name in unwritable_columns(self.request, self.view, row) for row in rows)
        table.is_sortable = bool(name) and not is_locked and all(line.may_change for line in table.lines)
        if table.is_sortable:
            self.submitted.sort(table.lines)
        return table
