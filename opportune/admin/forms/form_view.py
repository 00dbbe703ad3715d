"""Pages with a model's form: a new row, an existing row, and a copy of a row."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.errors import ValidationRefused
from opportune.admin.forms.admin_form import AdminForm, add_refusal
from opportune.admin.forms.fieldsets import group_fields, prefill, without_fields
from opportune.admin.forms.files import read_form_data, stored_uploads
from opportune.admin.forms.inlines import (
    INLINES_KEY,
    INVALID_ROWS,
    InlineTable,
    inline_file_fields,
    inline_tables,
    validate_inlines,
)
from opportune.admin.lists.actions import list_url
from opportune.admin.lists.formatters import truncate
from opportune.admin.protocols import View
from opportune.db.models.columns import title_of
from opportune.errors import FieldErrors
from opportune.web.middleware.security_headers import security_headers
from opportune.web.rendering.flash import flash

SAVE_AS_NEW = "Save as new"
DIALOG_PARAMETER = "_dialog"
"""Query parameter of a form in a dialog, which the + button beside a picker opens."""


async def form_page(request: Request, view: View, row: Any) -> Response:
    """Show the form, or save it and redirect. `row` is None for a new row."""
    response = await _respond(request, view, row)
    if DIALOG_PARAMETER in request.query_params:
        for name, value in security_headers(" 'unsafe-inline'", in_own_frames=True):
            response.headers[name.decode()] = value.decode()
    return response


async def _respond(request: Request, view: View, row: Any) -> Response:
    if request.method == "GET":
        form = await _build_form(request, view, row)
        if row is None:
            prefill(form, request.query_params)
        return await _render_page(request, view, row, form, await inline_tables(request, view, row))
    form_data = await read_form_data(request, dict.fromkeys(view.files, 1) | inline_file_fields(view))
    target = None if await _is_saved_as_new(request, view, form_data) else row
    form = await _build_form(request, view, target, form_data)
    tables = await inline_tables(request, view, target, form_data)
    try:
        saved_row = await _save(request, view, target, form, tables)
    except FieldErrors as refusal:
        return await _render_page(request, view, row, form, tables, add_refusal(form, refusal))
    if DIALOG_PARAMETER in request.query_params:
        context = {"model_view": view, "row": saved_row, "row_title": await view.title_for(request, saved_row)}
        return cast("Response", await view.templates.TemplateResponse(request, "admin/created.html", context, 201))
    _flash_saved(request, view, saved_row)
    return RedirectResponse(view.site.get_save_redirect_url(request, form_data, view, saved_row), 303)


async def _build_form(request: Request, view: View, row: Any, form_data: FormData | None = None) -> AdminForm:
    unwritable = view.unwritable_columns(request, row)
    form_class = without_fields(await view.form_class(request, creating=row is None), unwritable)
    return form_class(form_data, data={} if row is None else await view.get_form_data_for_edit(row))


async def _is_saved_as_new(request: Request, view: View, form_data: FormData) -> bool:
    if not view.save_as or form_data.get("save") != SAVE_AS_NEW:
        return False
    if not (view.can_create and await view.check_can_create(request)):
        raise HTTPException(403)
    return True


async def _save(request: Request, view: View, row: Any, form: AdminForm, tables: Sequence[InlineTable]) -> Any:
    is_valid = validate_inlines(tables)
    values = view.clean(form, row)
    if not is_valid:
        raise ValidationRefused(INVALID_ROWS)
    values[INLINES_KEY] = tables
    async with AsyncExitStack() as uploads:
        await uploads.enter_async_context(stored_uploads(request.app.state.storage, form, values))
        for line in (line for table in tables for line in table.lines if line.is_submitted and not line.is_deleted):
            await uploads.enter_async_context(stored_uploads(request.app.state.storage, line.form, line.values))
        if row is None:
            return await view.insert_model(request, values)
        return await view.update_model(request, request.path_params["pk"], values)


def _flash_saved(request: Request, view: View, row: Any) -> None:
    """Show a message that the row was saved, with a link to it."""
    address = ""
    if view.can_edit:
        address = str(view.url_of_row("edit", request, row))
    flash(request, f"{view.name} “{truncate(title_of(row))}” was saved.", address=address)


async def _render_page(
    request: Request, view: View, row: Any, form: AdminForm, tables: Sequence[InlineTable], error: str = ""
) -> Response:
    fields = view.site.plain_names({field.name: field for field in form}, view.model)
    texts = {*view.readonly_names, *view.unwritable_columns(request, row)} if row is not None else set()
    shown = [name for name in view.shown_fields(request, row) if name in {*fields, *texts}]
    context = {
        "model_view": view,
        "obj": row,
        "form": form,
        "fields": fields,
        "groups": group_fields(view.fieldsets, [*shown, *fields]),
        "tables": tables,
        "has_files": bool(view.files or inline_file_fields(view)),
        "inline_columns": [(table.view, table.by) for table in tables],
        "error": error,
        "list": list_url(request, view),
        "may_create": view.can_create and await view.check_can_create(request),
    }
    context |= await (view.create_context(request) if row is None else view.edit_context(request))
    status = 400 if error or form.errors else 200
    return cast("Response", await view.templates.TemplateResponse(request, view.edit_template, context, status))
