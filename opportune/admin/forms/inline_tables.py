"""Builds the tables of inline rows from the database and from submitted forms."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqladmin.authorization import Action
from sqladmin.helpers import get_object_identifier
from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.default_inlines import default_inlines
from opportune.admin.forms.edit_conflicts import (
    SEEN_FIELD,
    authors_of,
    describe_conflicts,
    find_changed_fields,
    hash_values,
    is_edited,
    use_stored_values,
)
from opportune.admin.forms.fieldsets import without_fields
from opportune.admin.forms.inline import Inline
from opportune.admin.forms.inlines import MAX_INLINE_ROWS, InlineRow, InlineTable, inline_columns
from opportune.admin.lists.actions import key_of
from opportune.admin.views import AdminView
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l

ROWS_FIELD = "(rows)"
"""Name of hidden fields with the keys of all lines of a page, in their order."""
MOVE_FIELD, ADD_FIELD = "(move)", "(add)"
"""Names of buttons that send the form, so that pages work without JavaScript."""
NEW_KEY = re.compile(r"new(\d{1,4})")
TEMPLATE_KEY = "new__"
"""Key of the line that a script copies. The script replaces it by `new2`, for example."""
ADD_AGAIN = _l("Another user has deleted this row. Save again to add it as a new row, or remove it.")


@dataclass(frozen=True)
class _Source:
    """The table of one inline, and the request and form that fill it."""

    request: Request
    inline: Inline
    view: Any
    prefix: str
    form_data: FormData | None
    form_classes: dict[tuple[bool, frozenset[str]], type[AdminForm]] = field(default_factory=dict)
    """Forms of lines, by whether the row is new and the fields left out."""

    @property
    def submitted_keys(self) -> list[str]:
        """Keys of the lines of the submitted page, in their order."""
        values = self.form_data.getlist(f"{self.prefix}-{ROWS_FIELD}") if self.form_data else []
        return list(dict.fromkeys(value for value in values if isinstance(value, str)))

    def value(self, name: str) -> str:
        value = self.form_data.get(f"{self.prefix}-{name}") if self.form_data else None
        return value if isinstance(value, str) else ""


def inline_file_fields(parent: AdminView) -> dict[str, int]:
    """Return patterns for the names of file fields, each with the maximum number of files in a form."""
    return {
        rf"{re.escape(prefix)}-[\w;]+-{re.escape(name)}": 2 * MAX_INLINE_ROWS
        for inline, view, prefix in _inlines_of(parent)
        for name in view.files.keys() & set(inline_columns(inline, view))
    }


def edits_lines(form_data: FormData | None) -> bool:
    """Return whether the pressed button adds or moves a line, so that nothing is saved yet."""
    return any(name.endswith((f"-{MOVE_FIELD}", f"-{ADD_FIELD}")) for name in form_data or ())


async def inline_tables(
    request: Request, parent: AdminView, row: Any, form_data: FormData | None = None
) -> Sequence[InlineTable]:
    """Return the tables that the user may edit, filled from the database or the form. `row` is None for a new row."""
    sources = [_Source(request, inline, view, prefix, form_data) for inline, view, prefix in _inlines_of(parent)]
    tables = [await _build_table(source, row) for source in sources if await _may_edit(request, source)]
    return [table for table in tables if table]


def _inlines_of(parent: AdminView) -> Iterator[tuple[Inline, AdminView, str]]:
    """Yield each inline with the view of its model and a prefix. Two inlines of one model have different prefixes."""
    prefixes: set[str] = set()
    for inline in default_inlines(parent) if parent.inlines is None else parent.inlines:
        if isinstance(view := parent.site.view_for_model(inline.model), AdminView):
            prefix = view.identity if view.identity not in prefixes else f"{view.identity}-{inline.by}"
            prefixes.add(prefix)
            yield inline, view, prefix


async def _may_edit(request: Request, source: _Source) -> bool:
    view: AdminView = source.view
    if view.hides(view.name_of(source.inline.by)) or not view.is_accessible(request):
        return False
    return _may(request, view, Action.EDIT) or await _may_create(request, view)


def _may(request: Request, view: AdminView, action: str) -> bool:
    is_enabled = view.can_edit if action == Action.EDIT else view.can_delete
    return is_enabled and view.has_permission(request, action)


async def _may_create(request: Request, view: AdminView) -> bool:
    return view.can_create and await view.check_can_create(request)


async def _build_table(source: _Source, parent: Any) -> InlineTable | None:
    rows = await _load_rows(source, parent) if parent is not None else []
    if len(rows) > MAX_INLINE_ROWS:
        return None
    await _load_references(source, rows)
    lines = [await _build_stored_line(source, row, is_writable=is_writable) for row, is_writable in rows]
    template = None
    if await _may_create(source.request, source.view):
        template = await _build_new_line(source, TEMPLATE_KEY)
        lines += [await _build_new_line(source, key) for key in _new_keys(source)]
        lines += await (_restore_deleted_lines(source, lines) if parent is not None else _copy_lines(source))
    return _sorted(source, InlineTable(source.inline, source.view, source.prefix, lines, template, is_sortable=False))


async def _load_rows(source: _Source, parent: Any) -> list[tuple[Any, bool]]:
    """Return the rows that the user may see, each with whether the rules of `crud` let the user change it."""
    request, view, inline = source.request, source.view, source.inline
    if not (view.has_permission(request, Action.EDIT) or await view.check_can_list(request)):
        return []
    children = view.list_query(request).where(getattr(inline.model, view.name_of(inline.by)) == parent.id)
    linked = view.many_to_many.keys() & set(view.form_names)
    children = children.options(*view.loading(list(linked)))
    order = [getattr(inline.model, inline.sortable)] if inline.sortable else []
    children = children.order_by(None).order_by(*order, *view.pk_columns).limit(MAX_INLINE_ROWS + 1)
    rows = await view.fetch_rows(children)
    conditions = view.writable(request)
    writable = await view.fetch_rows(children.where(*conditions)) if conditions else rows
    writable_keys = {get_object_identifier(row) for row in writable}
    return [(row, get_object_identifier(row) in writable_keys) for row in rows]


async def _load_references(source: _Source, rows: Sequence[tuple[Any, bool]]) -> None:
    """Load the rows that all lines refer to, in one query per column instead of one per line."""
    request, view = source.request, source.view
    for name in inline_columns(source.inline, view):
        if name in view.references:
            ids = {getattr(row, name) for row, _ in rows} - {None}
            await view.references[name].load_rows(request, sorted(ids))
            await view.name_references(request, name, [row for row, _ in rows])
        elif name in view.many_to_many:
            view.many_to_many[name].loaded_rows(request).update(
                (other.id, other) for row, _ in rows for other in getattr(row, name)
            )


async def _form_class(source: _Source, row: Any, *, is_readonly: bool = False) -> type[AdminForm]:
    """Return the form of a line: the columns of the inline that the user may change."""
    view, request, forms = source.view, source.request, source.form_classes
    columns = () if is_readonly else inline_columns(source.inline, view)
    omitted = {name for name in (*view.form_names, *view.related_fields) if name not in columns}
    key = row is None, frozenset((*omitted, *view.unwritable_columns(request, row)))
    if key not in forms:
        forms[key] = without_fields(await view.form_class(request, creating=row is None), key[1])
    return forms[key]


async def _build_stored_line(source: _Source, row: Any, *, is_writable: bool) -> InlineRow:
    request, view, key = source.request, source.view, key_of(row)
    may_change = is_writable and _may(request, view, Action.EDIT) and await view.check_can_edit(request, row)
    may_delete = is_writable and _may(request, view, Action.DELETE) and await view.check_can_delete(request, row)
    form_class = await _form_class(source, row, is_readonly=not may_change)
    initial = await view.get_form_data_for_edit(row)
    form, is_submitted = _bind(source, form_class, key, initial)
    line = InlineRow(
        row,
        key,
        form,
        initial,
        view.shown_fields(request, row),
        may_change,
        may_delete,
        is_submitted,
        is_deleted=may_delete and bool(source.value(f"{key}-delete")),
        seen=source.value(f"{key}-{SEEN_FIELD}"),
    )
    await _find_conflict(source, line)
    return line


async def _find_conflict(source: _Source, line: InlineRow) -> None:
    """Refuse to overwrite or delete values that another user has changed. The next submission overwrites them."""
    if not (line.is_submitted and line.may_change) or edits_lines(source.form_data):
        return
    stored = type(line.form)(data=line.stored)
    has_edited = line.is_deleted or is_edited(line.form, line.seen)
    changed = find_changed_fields(line.form, stored, line.seen)
    use_stored_values(line.form, stored, changed)
    if changed and has_edited:
        conflicts = await describe_conflicts(source.request, source.view, line.key, changed)
        texts = [f"{line.form[name].label.text}: {await _stored_text(source, line.row, name)}." for name in changed]
        repeat = gettext("Save again to delete it.") if line.is_deleted else gettext("Save again to keep your text.")
        change = gettext("%(authors)s has changed this row.", authors=authors_of(conflicts))
        line.error = f"{change} {' '.join(texts)} {repeat}"
        line.seen = hash_values(stored)


async def _stored_text(source: _Source, row: Any, name: str) -> str:
    _, text = await source.view.get_list_value(row, name, source.request)
    return text.striptags() if hasattr(text, "striptags") else str(text)


async def _build_new_line(source: _Source, key: str, form_data: FormData | None = None) -> InlineRow:
    form_class = await _form_class(source, None)
    form, is_submitted = _bind(source, form_class, key, {}, form_data)
    shown = inline_columns(source.inline, source.view)
    seen = source.value(f"{key}-{SEEN_FIELD}")
    return InlineRow(None, key, form, {}, shown, is_submitted=is_submitted, seen=seen)


def _bind(
    source: _Source, form_class: type[AdminForm], key: str, initial: Any, form_data: FormData | None = None
) -> tuple[AdminForm, bool]:
    """Return the form of a line, and whether the submitted page had the line."""
    prefix = f"{source.prefix}-{key}-"
    data = source.form_data if form_data is None else form_data
    # If the submitted page did not have the row, its checkboxes must not count as unchecked.
    is_submitted = data is not None and any(name.startswith(prefix) for name in data)
    return form_class(data if is_submitted else None, data=initial, prefix=prefix), is_submitted


def _new_keys(source: _Source) -> list[str]:
    """Return the keys of lines for new rows: those of the submitted page, or `extra` empty ones."""
    keys = [key for key in source.submitted_keys if NEW_KEY.fullmatch(key)][:MAX_INLINE_ROWS]
    if not source.submitted_keys:
        keys = [f"new{number}" for number in range(source.inline.extra)]
    return [*keys, _unused_key(keys)] if source.value(ADD_FIELD) else keys


def _unused_key(keys: Sequence[str]) -> str:
    return f"new{max((int(key.removeprefix('new')) + 1 for key in keys), default=0)}"


async def _copy_lines(source: _Source) -> list[InlineRow]:
    """Return a new line for each submitted row, for a copy of the parent or in place of a deleted parent."""
    return [await _build_new_line(source, key) for key, _ in _stored_keys(source)]


async def _restore_deleted_lines(source: _Source, lines: Sequence[InlineRow]) -> list[InlineRow]:
    """Return new lines with the user's text in rows that no longer exist."""
    restored: list[InlineRow] = []
    keys = [line.key for line in lines]
    for key, seen in _stored_keys(source):
        new_key = _unused_key([*filter(NEW_KEY.fullmatch, keys)])
        line = await _build_new_line(source, new_key, _renamed(source, key, new_key))
        if key not in keys and is_edited(line.form, seen):
            line.error = ADD_AGAIN
            restored.append(line)
            keys.append(new_key)
    return restored


def _stored_keys(source: _Source) -> list[tuple[str, str]]:
    """Return the keys of stored rows in the submitted page that were not deleted, each with its hashes."""
    keys = source.submitted_keys[: 2 * MAX_INLINE_ROWS]
    hashes = [(key, source.value(f"{key}-{SEEN_FIELD}")) for key in keys if not source.value(f"{key}-delete")]
    return [(key, seen) for key, seen in hashes if seen]


def _renamed(source: _Source, key: str, new_key: str) -> FormData:
    """Return the fields of one line with the names that they have in another line."""
    old, new = (f"{source.prefix}-{name}-" for name in (key, new_key))
    items = source.form_data.multi_items() if source.form_data else []
    return FormData([(new + name.removeprefix(old), value) for name, value in items if name.startswith(old)])


def _sorted(source: _Source, table: InlineTable) -> InlineTable:
    """Put the lines in the order of the page, if the user may sort them."""
    view, name = source.view, source.inline.sortable
    rows = [line.row for line in table.lines] or [None]
    is_locked = any(name in view.unwritable_columns(source.request, row) for row in rows)
    table.is_sortable = bool(name) and not is_locked and all(line.may_change for line in table.lines)
    if table.is_sortable and (keys := source.submitted_keys):
        positions = {key: position for position, key in enumerate(keys)}
        table.lines.sort(key=lambda line: positions.get(line.key, len(keys)))
        _move(table.lines, source.value(MOVE_FIELD))
    return table


def _move(lines: list[InlineRow], button: str) -> None:
    """Move a line up or down. The value of the button is `<key>:up` or `<key>:down`."""
    key, _, direction = button.rpartition(":")
    index = next((index for index, line in enumerate(lines) if line.key == key), None)
    if index is not None:
        line = lines.pop(index)
        lines.insert(max(index + (-1 if direction == "up" else 1), 0), line)
