"""The tables of inline rows in a form, built from the database and from the submitted page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqladmin.authorization import Action
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.accounts.models import UserBase
from opportune.admin.authorization import may_create, may_delete_any, may_edit_any
from opportune.admin.base import Inline
from opportune.admin.forms import edit_conflicts
from opportune.admin.forms.admin_form import AdminForm, without_fields
from opportune.admin.forms.foreign_keys import load_references
from opportune.admin.forms.inlines import MAX_INLINE_ROWS, InlineRow, InlineTable, inline_columns
from opportune.admin.lists.related import find_referring_views
from opportune.admin.lists.row_keys import key_of, writable_keys
from opportune.admin.views import AdminView, build_form_class, shown_fields, unwritable_columns
from opportune.db.models.columns import is_long
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.project.layout import is_framework_class

ROWS_FIELD = "(rows)"
"""Name of hidden fields with the keys of all lines of a page, in their order."""
MOVE_FIELD, ADD_FIELD = "(move)", "(add)"
"""Names of buttons that send the form, so that pages work without JavaScript."""
NEW_KEY = re.compile(r"new(\d{1,4})")
TEMPLATE_KEY = "new__"
"""Key of the line that a script copies. The script replaces it by `new2`, for example."""
MAX_DEFAULT_COLUMNS = 6
"""Columns of a table. Models that need more for a new row have their own form."""
ADD_AGAIN = _l("Another user has deleted this row. Save again to add it as a new row, or remove it.")


def inline_file_fields(parent: AdminView) -> dict[str, int]:
    """Return patterns for the names of file fields, each with the maximum number of files in a form."""
    return {
        rf"{re.escape(prefix)}-[\w;]+-{re.escape(name)}": 2 * MAX_INLINE_ROWS
        for inline, view, prefix in _inlines_of(parent)
        for name in view.files.keys() & set(inline_columns(inline, view))
    }


async def inline_tables(
    request: Request, parent: AdminView, row: Any, form_data: FormData | None = None
) -> Sequence[InlineTable]:
    """Return the tables that the user may edit, filled from the database or the form. `row` is None for a new row."""
    builders = [
        _TableBuilder(request, inline, view, SubmittedLines(form_data, prefix))
        for inline, view, prefix in _inlines_of(parent)
    ]
    tables = [await builder.build(row) for builder in builders if await builder.may_edit()]
    return [table for table in tables if table]


def edits_lines(form_data: FormData | None) -> bool:
    """Return whether the pressed button adds or moves a line, so that nothing is saved yet."""
    return any(name.endswith((f"-{MOVE_FIELD}", f"-{ADD_FIELD}")) for name in form_data or ())


def _inlines_of(parent: AdminView) -> Iterator[tuple[Inline, AdminView, str]]:
    """Yield each inline with the view of its model and a prefix. Two inlines of one model have different prefixes."""
    prefixes: set[str] = set()
    for inline in _default_inlines(parent) if parent.inlines is None else parent.inlines:
        if isinstance(view := parent.site.view_for_model(inline.model), AdminView):
            prefix = view.identity if view.identity not in prefixes else f"{view.identity}-{inline.by}"
            prefixes.add(prefix)
            yield inline, view, prefix


def _default_inlines(parent: AdminView) -> Iterator[Inline]:
    """Yield an inline for each model with a foreign key that is required and cascades, if its rows fit into a table.

    Rows of a user are not part of the user, and models of the framework have their own pages.
    """
    if issubclass(parent.model, UserBase) or is_framework_class(parent.model):
        return
    for view, reference in find_referring_views(parent):
        if not isinstance(view, AdminView) or view.model is parent.model or not _depends(view, reference):
            continue
        if columns := _table_columns(view, reference):
            yield Inline(view.model, reference, columns)


def _table_columns(view: AdminView, reference: str) -> list[str]:
    """Return the required columns and the first short ones. Empty if a new row needs a file or more columns."""
    columns = [name for name in view.names.in_form if name != reference and name in view.mapper.columns]
    required = [name for name in columns if _is_required(view, name)]
    if len(required) > MAX_DEFAULT_COLUMNS or view.files.keys() & {*required}:
        return []
    optional = [name for name in columns if name not in required and not is_long(view.mapper.columns[name])]
    selected = {*required, *optional[: MAX_DEFAULT_COLUMNS - len(required)]}
    return [name for name in columns if name in selected]


def _depends(view: AdminView, name: str) -> bool:
    """Return whether a row is deleted with the row that this foreign key refers to, and cannot be without it."""
    column: Any = view.mapper.columns[name]
    rules = {(key.ondelete or "").upper() for key in column.foreign_keys}
    return not column.nullable and rules == {"CASCADE"}


def _is_required(view: AdminView, name: str) -> bool:
    fields = getattr(view.model, "model_fields", {})
    return name in fields and bool(fields[name].is_required())


@dataclass(frozen=True)
class SubmittedLines:
    """The lines of one table in the submitted page, if there is one."""

    form_data: FormData | None
    prefix: str

    @property
    def keys(self) -> list[str]:
        """Keys of the lines, in their order."""
        values = self.form_data.getlist(f"{self.prefix}-{ROWS_FIELD}") if self.form_data else []
        return list(dict.fromkeys(value for value in values if isinstance(value, str)))

    def value(self, name: str) -> str:
        value = self.form_data.get(f"{self.prefix}-{name}") if self.form_data else None
        return value if isinstance(value, str) else ""

    def new_keys(self, extra: int) -> list[str]:
        """Return the keys of lines for new rows: those of the submitted page, or `extra` empty ones."""
        keys = [key for key in self.keys if NEW_KEY.fullmatch(key)][:MAX_INLINE_ROWS]
        if not self.keys:
            keys = [f"new{number}" for number in range(extra)]
        return [*keys, _unused_key(keys)] if self.value(ADD_FIELD) else keys

    def stored_keys(self) -> list[tuple[str, str]]:
        """Return the keys of stored rows in the submitted page that were not deleted, each with its hashes."""
        keys = self.keys[: 2 * MAX_INLINE_ROWS]
        hashes = [(key, self.seen(key)) for key in keys if not self.value(f"{key}-delete")]
        return [(key, seen) for key, seen in hashes if seen]

    def renamed(self, key: str, new_key: str) -> FormData:
        """Return the fields of one line with the names that they have in another line."""
        old, new = (f"{self.prefix}-{name}-" for name in (key, new_key))
        items = self.form_data.multi_items() if self.form_data else []
        return FormData([(new + name.removeprefix(old), value) for name, value in items if name.startswith(old)])

    def seen(self, key: str) -> str:
        """Return the hashes of the values that a line showed."""
        return self.value(f"{key}-{edit_conflicts.SEEN_FIELD}")

    def sort(self, lines: list[InlineRow]) -> None:
        """Put the lines in the order of the page, after the move of a button."""
        if keys := self.keys:
            positions = {key: position for position, key in enumerate(keys)}
            lines.sort(key=lambda line: positions.get(line.key, len(keys)))
            _move_line(lines, self.value(MOVE_FIELD))


def _unused_key(keys: Sequence[str]) -> str:
    return f"new{max((int(key.removeprefix('new')) + 1 for key in keys), default=0)}"


def _move_line(lines: list[InlineRow], button: str) -> None:
    """Move a line up or down. The value of the button is `<key>:up` or `<key>:down`."""
    key, _, direction = button.rpartition(":")
    keys = [line.key for line in lines]
    if key in keys:
        index = keys.index(key)
        new_index = max(index - 1, 0) if direction == "up" else index + 1
        lines.insert(new_index, lines.pop(index))


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
        view = self.view
        if view.names.hides(view.names.of(self.inline.by)) or not view.is_accessible(self.request):
            return False
        return may_edit_any(self.request, view) or await may_create(self.request, view)

    async def build(self, parent: Any) -> InlineTable | None:
        rows = await self._load_rows(parent) if parent is not None else []
        if len(rows) > MAX_INLINE_ROWS:
            return None
        await self._load_references(rows)
        lines = [await self._build_stored_line(row, is_writable=is_writable) for row, is_writable in rows]
        template = None
        if await may_create(self.request, self.view):
            template = await self._build_new_line(TEMPLATE_KEY)
            lines += [await self._build_new_line(key) for key in self.submitted.new_keys(self.inline.extra)]
            lines += await (self._restore_deleted_lines(lines) if parent is not None else self._copy_lines())
        return self._sorted(
            InlineTable(self.inline, self.view, self.submitted.prefix, lines, template, is_sortable=False)
        )

    async def _load_rows(self, parent: Any) -> list[tuple[Any, bool]]:
        """Return the rows that the user may see, each with whether the rules of `crud` let the user change it."""
        request, view, inline = self.request, self.view, self.inline
        if not (view.has_permission(request, Action.EDIT) or await view.check_can_list(request)):
            return []
        by = view.names.of(inline.by)
        is_child = getattr(inline.model, by) == view.references[by].key_of(parent)
        children = view.list_query(request).where(is_child)
        linked = view.many_to_many.keys() & set(view.names.in_form)
        children = children.options(*view.queries.loading(list(linked)))
        order = [getattr(inline.model, inline.sortable)] if inline.sortable else []
        children = children.order_by(None).order_by(*order, *view.pk_columns).limit(MAX_INLINE_ROWS + 1)
        rows = await view.queries.objects(children)
        writable = await writable_keys(request, view, [*map(key_of, rows)])
        return [(row, key_of(row) in writable) for row in rows]

    async def _load_references(self, rows: Sequence[tuple[Any, bool]]) -> None:
        """Load the rows that all lines refer to, in one query per column instead of one per line."""
        request, view, names = self.request, self.view, inline_columns(self.inline, self.view)
        await load_references(request, view, names, [row for row, _ in rows])
        for name in view.many_to_many.keys() & {*names}:
            lookup = view.many_to_many[name]
            loaded = lookup.loaded_rows(request)
            loaded.update((lookup.key_of(other), other) for row, _ in rows for other in getattr(row, name))

    async def _form_class(self, row: Any, *, is_readonly: bool = False) -> type[AdminForm]:
        """Return the form of a line: the columns of the inline that the user may change."""
        view, request, forms = self.view, self.request, self.form_classes
        columns = () if is_readonly else inline_columns(self.inline, view)
        omitted = {name for name in (*view.names.in_form, *view.form_extension.names) if name not in columns}
        key = row is None, frozenset((*omitted, *unwritable_columns(request, view, row)))
        if key not in forms:
            forms[key] = without_fields(await build_form_class(request, view, creating=row is None), key[1])
        return forms[key]

    async def _build_stored_line(self, row: Any, *, is_writable: bool) -> InlineRow:
        request, view, key = self.request, self.view, key_of(row)
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
        change = gettext("%(authors)s has changed this row.", authors=edit_conflicts.authors_of(conflicts))
        texts = [f"{line.form[name].label.text}: {await self._stored_text(line.row, name)}." for name in changed]
        repeat = gettext("Save again to delete it.") if line.is_deleted else gettext("Save again to keep your text.")
        return " ".join([change, *texts, repeat])

    async def _stored_text(self, row: Any, name: str) -> str:
        _, text = await self.view.get_list_value(row, name, self.request)
        return text.striptags() if hasattr(text, "striptags") else str(text)

    async def _build_new_line(self, key: str, form_data: FormData | None = None) -> InlineRow:
        form_class = await self._form_class(None)
        form, is_submitted = self._bind(form_class, key, {}, form_data)
        shown = inline_columns(self.inline, self.view)
        seen = self.submitted.seen(key)
        return InlineRow(None, key, form, {}, shown, is_submitted=is_submitted, seen=seen)

    def _bind(
        self, form_class: type[AdminForm], key: str, initial: Any, form_data: FormData | None = None
    ) -> tuple[AdminForm, bool]:
        """Return the form of a line, and whether the submitted page had the line."""
        prefix = f"{self.submitted.prefix}-{key}-"
        data = self.submitted.form_data if form_data is None else form_data
        # If the submitted page did not have the row, its checkboxes must not count as unchecked.
        is_submitted = data is not None and any(name.startswith(prefix) for name in data)
        return form_class(data if is_submitted else None, data=initial, prefix=prefix), is_submitted

    async def _copy_lines(self) -> list[InlineRow]:
        """Return a new line for each submitted row, for a copy of the parent or in place of a deleted parent."""
        return [await self._build_new_line(key) for key, _ in self.submitted.stored_keys()]

    async def _restore_deleted_lines(self, lines: Sequence[InlineRow]) -> list[InlineRow]:
        """Return new lines with the user's text in rows that no longer exist."""
        restored: list[InlineRow] = []
        keys = [line.key for line in lines]
        for key, seen in self.submitted.stored_keys():
            new_key = _unused_key([*filter(NEW_KEY.fullmatch, keys)])
            line = await self._build_new_line(new_key, self.submitted.renamed(key, new_key))
            if key not in keys and edit_conflicts.is_edited(line.form, seen):
                line.error = ADD_AGAIN
                restored.append(line)
                keys.append(new_key)
        return restored

    def _sorted(self, table: InlineTable) -> InlineTable:
        """Put the lines in the order of the page, if the user may sort them."""
        view, name = self.view, self.inline.sortable
        rows = [line.row for line in table.lines] or [None]
        is_locked = any(name in unwritable_columns(self.request, view, row) for row in rows)
        table.is_sortable = bool(name) and not is_locked and all(line.may_change for line in table.lines)
        if table.is_sortable:
            self.submitted.sort(table.lines)
        return table
