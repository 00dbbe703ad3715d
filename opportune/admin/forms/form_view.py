"""Pages with a model's form: a new row, an existing row, and a copy of a row."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from fastapi import HTTPException
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.accounts.sign_in_redirects import make_redirect_error
from opportune.admin.authorization import may_create
from opportune.admin.base import INLINES_KEY, READ_VALUES_KEY
from opportune.admin.errors import RowChanged, ValidationRefused
from opportune.admin.forms import edit_conflicts
from opportune.admin.forms.admin_form import AdminForm, add_refusal, group_fields, without_fields
from opportune.admin.forms.conditional_fields import conditions_json, reset_hidden_fields
from opportune.admin.forms.files import FileField, read_form_data, stored_uploads
from opportune.admin.forms.inline_tables import inline_file_fields, inline_tables
from opportune.admin.forms.inlines import INVALID_ROWS, InlineTable
from opportune.admin.forms.submitted_lines import edits_lines
from opportune.admin.lists.actions import list_url
from opportune.admin.lists.display import MAX_CELL_LENGTH, title_for
from opportune.admin.lists.row_keys import row_url
from opportune.admin.templates import render_page
from opportune.admin.views import AdminView, build_form_class, shown_fields, unwritable_columns
from opportune.db.clock import utc_now
from opportune.db.models.labels import title_of
from opportune.db.models.sensitive_names import is_privilege
from opportune.errors import FieldErrors
from opportune.i18n import gettext
from opportune.schemas.text import shorten
from opportune.web.forms.kept_form import take_kept_fields
from opportune.web.forms.seen_values import ROW_IS_GONE, SEEN_FIELD
from opportune.web.middleware.security_headers import security_headers
from opportune.web.rendering.flash import flash

DIALOG_PARAMETER = "_dialog"
"""Query parameter of a form in a dialog, which the + button beside a picker opens."""


async def form_page(request: Request, view: AdminView, row: Any) -> Response:
    """Show the form, or save it and redirect. `row` is None for a new row."""
    response = await _respond(request, view, row)
    if DIALOG_PARAMETER in request.query_params:
        for name, value in security_headers(inline_styles=True, in_own_frames=True):
            response.headers[name.decode()] = value.decode()
    return response


async def row_gone_error(request: Request, view: AdminView) -> HTTPException:
    """Return the error for a row that does not exist. The form of a new row, or the list, shows a submitted text."""
    if request.method != "POST" or SEEN_FIELD not in await _read_form(request, view):
        return HTTPException(404)
    page = "create" if await may_create(request, view) else "list"
    url = str(request.url_for(f"admin:{page}", identity=view.identity))
    return make_redirect_error(request, url, HTTPException(404), has_form=True, notice=gettext(ROW_IS_GONE))


async def _read_form(request: Request, view: AdminView) -> FormData:
    return await read_form_data(request, dict.fromkeys(view.files, 1) | inline_file_fields(view))


async def _respond(request: Request, view: AdminView, row: Any) -> Response:
    if request.method == "POST":
        return await _submit(request, view, row, await _read_form(request, view))
    kept_fields = take_kept_fields(request)
    page = await _open_form(request, view, row, kept_fields)
    if row is None and kept_fields is None:
        _prefill(page, request.query_params)
    return await _render(request, page)


@dataclass
class FormPage:
    view: AdminView
    row: Any
    """The stored row; None for a new row."""
    form: AdminForm
    initial: Mapping[str, Any]
    """Initial values of the fields."""
    tables: Sequence[InlineTable]
    seen: str = ""
    """Hashes of the values that the user has seen."""
    conflicts: Sequence[edit_conflicts.Conflict] = ()

    @property
    def stored_form(self) -> AdminForm:
        return type(self.form)(data=self.initial)


def _prefill(page: FormPage, params: Mapping[str, str]) -> None:
    """Fill in fields from query parameters, such as `?event_id=3`. A link gives no permissions."""
    for field in page.form:
        is_guarded = is_privilege(field.name) or field.name in page.view.form_extension.names
        if field.name in params and not (is_guarded or isinstance(field, FileField)):
            field.process(FormData([(field.name, params[field.name])]), field.data)


async def _open_form(request: Request, view: AdminView, row: Any, form_data: FormData | None) -> FormPage:
    unwritable = unwritable_columns(request, view, row)
    form_class = without_fields(await build_form_class(request, view, creating=row is None), unwritable)
    initial = {} if row is None else await view.get_form_data_for_edit(row)
    tables = await inline_tables(request, view, row, form_data)
    page = FormPage(view, row, form_class(form_data, data=initial), initial, tables)
    if form_data is not None:
        reset_hidden_fields(page.form, view.show_when)
    seen = form_data.get(SEEN_FIELD) if form_data else ""
    # The values in a request without any field are not those that a user has seen.
    shown_form = page.form if form_data is None else page.stored_form
    page.seen = seen if isinstance(seen, str) and seen else edit_conflicts.hash_values(shown_form)
    return page


async def _submit(
    request: Request, view: AdminView, row: Any, form_data: FormData, *, is_repeated: bool = False
) -> Response:
    is_new = row is None or await _is_saved_as_new(request, view, form_data)
    page = await _open_form(request, view, None if is_new else row, form_data)
    if edits_lines(form_data) or await _find_conflicts(request, page):
        return await _render(request, page, row)
    try:
        saved_row = await _save(request, page)
    except RowChanged as refusal:
        if not is_repeated and (row := await view.get_object_for_edit(request)) is not None:
            return await _submit(request, view, row, form_data, is_repeated=True)
        return await _render(request, page, row, str(refusal))
    except FieldErrors as refusal:
        return await _render(request, page, row, add_refusal(page.form, refusal))
    return await _respond_to_saved(request, view, saved_row, form_data)


async def _respond_to_saved(request: Request, view: AdminView, row: Any, form_data: FormData) -> Response:
    if DIALOG_PARAMETER in request.query_params:
        context = {"row": row, "row_title": await title_for(request, view, row)}
        return await render_page(request, view, "admin/created.html", context, 201)
    url = str(row_url(request, view, "edit", row)) if view.can_edit else ""
    title = shorten(title_of(row), MAX_CELL_LENGTH)
    flash(request, gettext("%(name)s “%(row)s” was saved.", name=view.name, row=title), url=url)
    return RedirectResponse(view.site.get_save_redirect_url(request, form_data, view, row), 303)


async def _is_saved_as_new(request: Request, view: AdminView, form_data: FormData) -> bool:
    if not view.save_as or form_data.get("save") != "Save as new":
        return False
    if not await may_create(request, view):
        raise HTTPException(403)
    return True


async def _find_conflicts(request: Request, page: FormPage) -> bool:
    """Show the values that another user has changed. The next submission overwrites them."""
    stored = page.stored_form
    changed = edit_conflicts.find_changed_fields(page.form, stored, page.seen)
    if page.row is None or not changed:
        return False
    edit_conflicts.use_stored_values(page.form, stored, changed)
    page.conflicts = await edit_conflicts.describe_conflicts(request, page.view, request.path_params["pk"], changed)
    page.seen = edit_conflicts.hash_values(stored)
    return True


async def _save(request: Request, page: FormPage) -> Any:
    is_valid = not [table for table in page.tables if not table.clean()]  # each, so that the page shows all errors
    values = page.view.clean(page.form, page.row)
    if not is_valid:
        raise ValidationRefused(INVALID_ROWS)
    values[INLINES_KEY] = page.tables
    async with AsyncExitStack() as uploads:
        await uploads.enter_async_context(stored_uploads(request.app.state.storage, page.form, values))
        for line in (line for table in page.tables for line in table.lines if line.is_filled_in):
            await uploads.enter_async_context(stored_uploads(request.app.state.storage, line.form, line.values))
        if page.row is None:
            return await page.view.insert_model(request, values)
        values[READ_VALUES_KEY] = edit_conflicts.columns_in_form(page.view, page.form, page.initial)
        return await page.view.update_model(request, request.path_params["pk"], values)


async def _render(request: Request, page: FormPage, row: Any = None, error: str = "") -> Response:
    """Render the form. `row` is the row in the URL, also while a copy of it is saved as new."""
    view = page.view
    row = page.row if row is None else row
    fields = {field.short_name: field for field in page.form}
    texts = {*view.readonly_names, *unwritable_columns(request, view, row)} if row is not None else set()
    shown = [name for name in shown_fields(request, view, row) if name in {*fields, *texts}]
    context = {
        "obj": row,
        "form": page.form,
        "fields": fields,
        "groups": group_fields(view, [*shown, *fields]),
        "tables": page.tables,
        "seen": page.seen if row is not None else "",
        "conflicts": page.conflicts,
        "opened_at": utc_now(),
        "conditions": {name: conditions_json(conditions) for name, conditions in view.show_when.items()},
        "has_files": bool(view.files or inline_file_fields(view)),
        "inline_columns": [(table.view, table.by) for table in page.tables],
        "error": error,
        "list": list_url(request, view),
        "may_create": await may_create(request, view),
    }
    context |= await view.create_context(request) if row is None else await view.edit_context(request)
    status = 400 if error or page.form.errors else 200
    if page.conflicts:
        status = 409
    return await render_page(request, view, view.edit_template, context, status)
