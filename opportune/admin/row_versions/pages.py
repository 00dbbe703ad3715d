"""Page that restores a version of a row, after it shows the differences."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from sqladmin.authorization import Action
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from opportune.admin.forms.admin_form import AdminForm
from opportune.admin.forms.fieldsets import without_fields
from opportune.admin.row_versions.entries import list_differences
from opportune.admin.row_versions.models import RowVersion
from opportune.admin.row_versions.service import restorable_values, select_version
from opportune.admin.row_versions.values import to_json
from opportune.admin.views import AdminView
from opportune.db.models.columns import label_of
from opportune.errors import FieldErrors, Refused
from opportune.i18n import gettext
from opportune.web.rendering.flash import flash


async def version_page(request: Request, view: AdminView) -> Response:
    """Show what a version would change, or restore it once the user has confirmed."""
    row = await _find_row(request, view)
    version = await _find_version(request, view, row)
    try:
        async with view.site.database.reader(fresh=True) as session:
            values = await restorable_values(session, row, version)
    except Refused as refusal:
        flash(request, str(refusal), "danger")
        return _redirect(request, view)
    form_class = await view.form_class(request, creating=False)
    names = view.site.plain_names({field.name: field for field in form_class()}, view.model).keys()
    fields = names - {*view.unwritable_columns(request, row)}
    restored = {name: value for name, value in values.items() if name in fields}
    error = ""
    if request.method == "POST":
        try:
            await _restore(request, view, row, restored, without_fields(form_class, names - restored.keys()))
        except FieldErrors as refusal:
            error = str(refusal)
        else:
            flash(request, gettext("Version %(number)s was restored.", number=version.number))
            return _redirect(request, view)
    return await _render(request, view, row, version, restored, error, left_out=values.keys() - fields)


async def _find_row(request: Request, view: AdminView) -> Any:
    """Return the row if the user may see its history and change it."""
    if not view.has_versions:
        raise HTTPException(404)
    if not (view.can_edit and view.is_accessible(request) and view.has_permission(request, Action.DETAILS)):
        raise HTTPException(403)
    row = await view.get_object_for_edit(request)
    if row is None:
        raise HTTPException(404)
    if not await view.check_can_edit(request, row):
        raise HTTPException(403)
    return row


async def _find_version(request: Request, view: AdminView, row: Any) -> RowVersion:
    number = request.query_params.get("number", "")
    if not number.isdecimal() or len(number) > 9:
        raise HTTPException(404)
    found: list[RowVersion] = await view.fetch_rows(select_version(row, int(number)))
    if not found:
        raise HTTPException(404)
    return found[0]


async def _restore(
    request: Request, view: AdminView, row: Any, values: Mapping[str, Any], form_class: type[AdminForm]
) -> None:
    """Submit the values through a form with their fields, with its validation, hooks and audit log.

    Raises:
        FieldErrors: A value is no longer valid.
    """
    submitted = FormData([*_form_texts(form_class(None, data=dict(values)))])
    form = form_class(submitted, data={name: getattr(row, name) for name in values})
    try:
        clean = view.clean(form, row)
    except FieldErrors as refusal:
        raise FieldErrors(_field_messages(view, form) or refusal.errors) from refusal
    await view.update_model(request, request.path_params["pk"], clean)


def _form_texts(form: AdminForm) -> list[tuple[str, str]]:
    """Return the names and texts that a browser would send for the values of a form."""
    texts: list[tuple[str, str]] = []
    for field in form:
        value = field.data
        if value is not False:
            text = "" if value is None else "true" if value is True else getattr(field, "text", str(value))
            texts.append((field.name, text))
    return texts


def _field_messages(view: AdminView, form: AdminForm) -> dict[str, str]:
    fields = view.site.plain_names({field.name: field for field in form}, view.model)
    return {
        name: f"{view.labels.get(name, label_of(name))}: {' '.join(map(str, field.errors))}"
        for name, field in fields.items()
        if field.errors
    }


async def _render(
    request: Request,
    view: AdminView,
    row: Any,
    version: RowVersion,
    values: Mapping[str, Any],
    error: str,
    *,
    left_out: Collection[str],
) -> Response:
    model = view.model
    changes = {name: [to_json(model, name, getattr(row, name)), version.values[name]] for name in values}
    (differences,) = await list_differences(request, view, [changes])
    context = {
        "model_view": view,
        "row": row,
        "version": version,
        "differences": differences,
        "left_out": sorted(view.labels.get(name, label_of(name)) for name in left_out if not view.hides(name)),
        "error": error,
        "history_url": _history_url(request, view),
    }
    status = 400 if error else 200
    return cast("Response", await view.templates.TemplateResponse(request, "admin/version.html", context, status))


def _history_url(request: Request, view: AdminView) -> str:
    return str(request.url_for("admin:history", identity=view.identity, pk=request.path_params["pk"]))


def _redirect(request: Request, view: AdminView) -> Response:
    return RedirectResponse(_history_url(request, view), 303)
