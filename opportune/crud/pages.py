"""HTML pages of a model: list, details, forms and confirmation of a deletion."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from functools import partial
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from markupsafe import escape
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.sql.elements import True_

from opportune.accounts.sign_in_redirects import make_redirect_error
from opportune.crud.choices import find_rows, reference_choices, references_in
from opportune.crud.columns import ListColumn, make_cell_renderer, read_rows, render_rows, visible_columns
from opportune.crud.crud import Crud
from opportune.crud.formats import names_of
from opportune.crud.options import Key
from opportune.crud.page_options import M, PageOptions, add_url, page_url_of
from opportune.crud.queries import FilterForm, hidden_parameters, read_query, to_machine_formats, visible_filters
from opportune.crud.query_schema import CURSOR
from opportune.crud.row_fields import RowFields, deletion_impact
from opportune.db.models.row_ids import parse_row_id
from opportune.db.queries.row_count import RowCount
from opportune.db.sessions.dependencies import on_site
from opportune.errors import FieldErrors, NotFound, renamed_names
from opportune.errors.option_names import refuse_wrong_options
from opportune.fields.files import stored_uploads
from opportune.i18n import gettext, lower_name
from opportune.i18n import gettext_lazy as _l
from opportune.pagination import Page, Paging
from opportune.storage import StorageError
from opportune.web import Form, flash, is_htmx, redirect, templates, url
from opportune.web.forms.forms import MAX_FIELDS, MAX_FILES, SEARCH_SUFFIX, fill_form
from opportune.web.forms.kept_form import restore_kept_form
from opportune.web.forms.seen_values import ROW_IS_GONE, SEEN_FIELD, SEEN_ID, parse_hashes
from opportune.web.forms.uploads import Upload, allow_files
from opportune.web.rendering.template_blocks import is_replaced

Context = dict[str, Any]

DIALOG = "_dialog"
"""Query parameter of a form that opens in a dialog above another form."""
DIALOG_PREFIX = "dialog-"
"""Prefix of ids in a dialog, because the form behind it may have a field of the same name."""


class CrudPages(PageOptions[M]):
    """HTML pages that list, show, create, update and delete the rows of a model. Each method can be overridden.

    The templates are `crud/list.html`, `crud/get.html`, `crud/form.html` and `crud/delete.html`. A template
    of the project such as `books/book_list.html` replaces one of them, and may extend it.

        class BookPages(CrudPages[Book]):
            columns = ("title", "author", "price")

        router = BookPages(Books, "/books").router

    Args:
        crud_class: The data layer, such as `Books`.
        path: URL of the list, such as `/books`.
        options: Options of the class as keyword arguments: `columns`, `fields`, `sections`, `formats`, `without`,
            `name` and `plural`.

    Raises:
        OperatorError: An option does not exist, or names a column or route that does not exist.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        refuse_wrong_options(cls, CrudPages, renamed=renamed_names.CRUD_PAGES)

    async def list(self, request: Request, crud: Any) -> Response:
        """Show the list. Responses to htmx requests contain only the block `found`."""
        if request.query_params:
            params = to_machine_formats(crud, request.query_params)
            if params != request.query_params:
                return RedirectResponse(f"{request.url.path}?{params}", 303)
        query = self.list_query(request, crud)
        columns = visible_columns(crud, self.list_columns)
        page = await read_rows(crud, query, columns)
        if not page.items and page.pages < page.page:  # the rows of the last page were deleted
            last = {CURSOR: "last"} if page.is_estimate else {"page": page.pages}
            last_url = request.url.remove_query_params("page").include_query_params(**last)
            return RedirectResponse(f"?{last_url.query}", 303)
        context = await self._list_context(request, crud, query, page, columns)
        if is_htmx(request):
            return templates.render_block(request, self.template("list"), "found", context)
        context["filter"] = await self._filter_form(crud, query)
        return templates.render(request, self.template("list"), context)

    async def get(self, request: Request, crud: Any, key: Key, form: Form[Any] | None = None) -> Response:
        """Show one row. Responses to htmx requests contain only the block `below`.

        If the template has a form of the project, the route that reads it can pass the form to show its errors. The
        template receives it as `form`.
        """
        row = await crud.get(key)
        context = {
            **await self._row_context(crud, row),
            "fields": await self._fields(request, crud, row).read_labelled(self.fields),
            **await self.get_context(request, crud, row),
        }
        template = self.template("get")
        status = 200
        if form:
            context["form"] = form
            status = form.status
        if is_htmx(request):
            return templates.render_block(request, template, "below", context, status)
        return templates.render(request, template, context, status)

    async def create_form(self, request: Request, crud: Any) -> Response:
        """Show the form of a new row. Query parameters, such as `?title=Emma`, prefill its fields."""
        form = await self.build_form(request, crud)
        form.prefill(request.query_params)
        return await self._show_form(request, crud, form, None)

    async def create(self, request: Request, crud: Any) -> Response:
        """Add a row, or show the form with its errors."""
        form = await fill_form(request, await self.build_form(request, crud))
        if row := await self._save(request, crud, form, crud.create):
            return await self._after_save(request, crud, row, _l("“%(title)s” is added."))
        return await self._show_form(request, crud, form, None)

    async def update_form(self, request: Request, crud: Any, key: Key) -> Response:
        """Show the form of a row."""
        row = await self._writable_row(crud, key, "update")
        return await self._show_form(request, crud, await self.build_form(request, crud, row), row)

    async def update(self, request: Request, crud: Any, key: Key) -> Response:
        """Change a row, or show the form with its errors."""
        try:
            async with _reading(request, crud) as reader:
                row = await self._writable_row(reader, key, "update")
                form = await self.build_form(request, reader, row)
            await fill_form(request, form)  # without a connection. The row is locked after the files are stored
            if saved := await self._save(request, crud, form, partial(crud.update, row.id)):
                return await self._after_save(request, crud, saved, _l("“%(title)s” is saved."))
            async with _reading(request, crud) as reader:
                row = await self._writable_row(reader, row.id, "update")
                texts = await self._fields(request, reader, row).read_texts(form.conflicts.keys() & form.controls)
                form.refuse_conflicts({name: escape(text).striptags() for name, (_, text) in texts.items()})
                return await self._show_form(request, reader, form, row)
        except NotFound:
            raise await self._row_gone_error(request, crud) from None

    async def delete_form(self, request: Request, crud: Any, key: Key) -> Response:
        """Ask for confirmation, with a preview of the related rows that are affected."""
        return await self._confirm(request, crud, await self._writable_row(crud, key, "delete"))

    async def delete(self, request: Request, crud: Any, key: Key) -> Response:
        """Delete a row. The message offers to restore it if the model has a trash."""
        row = await crud.get_writable(key, "delete")
        title = await title_of(crud, row)
        try:
            await crud.delete(row)
        except FieldErrors as error:
            return await self._confirm(request, crud, await crud.get(key), str(error))
        undo_url = f"{self.url_of(row)}/restore" if self.has("restore") else ""
        flash(request, gettext("“%(title)s” is deleted.", title=title), undo=undo_url)
        return redirect(request, self.path)

    async def restore(self, request: Request, crud: Any, key: Key) -> Response:
        """Take a row out of the trash."""
        row = await crud.restore(key)
        return redirect(request, self.url_of(row) if self.has("get") else self.path)

    async def choices(self, request: Request, crud: Any) -> Response:
        """Return the rows that a field can refer to and that match `?term=`, as JSON."""
        params = request.query_params
        models: dict[str, type[Any]] = {}
        if crud.may("list"):
            models |= references_in(crud.Filter)
        if crud.may("create") or crud.may("update"):
            models |= references_in(crud.Create)
        name = params.get("name", "")
        model = models.get(name)
        if model is None or crud.hides_parameter(name):
            raise NotFound
        return JSONResponse({"results": await find_rows(crud, model, params.get("term", ""))})

    # Methods to override

    def list_query(self, request: Request, crud: Any) -> Paging:
        """Return the query of the list, by default from the query parameters of the request."""
        return read_query(crud, request.query_params)

    async def list_context(self, request: Request, crud: Any, page: Page[Any]) -> Context:
        """Return additional values for the template of the list."""
        return {}

    async def get_context(self, request: Request, crud: Any, row: M) -> Context:
        """Return additional values for the template of one row."""
        return {}

    async def form_context(self, request: Request, crud: Any, row: M | None) -> Context:
        """Return additional values for the template of the form. `row` is None for a new row."""
        return {}

    def after_save_url(self, request: Request, row: M) -> str:
        """Return the URL to redirect to after a row was added or changed."""
        return self.url_of(row) if self.has("get") else self.path

    def form_schema(self, row: M | None) -> type[BaseModel]:
        """Return the schema of the form. `row` is None for a new row."""
        return self.crud_class.Create

    # Implementation

    async def _list_context(
        self, request: Request, crud: Crud[M], query: Paging, page: Page[Any], columns: Sequence[ListColumn]
    ) -> Context:
        filters = visible_filters(crud)
        renders_rows = not is_replaced(templates.environment, self.template("list"), "row")
        url_of = self.link_of(crud)
        active = {name for name, value in query if name in query.model_fields_set and value not in (None, "", [])}
        return {
            "pages": self,
            "page": page,
            "query": query,
            "columns": columns,
            "cells": make_cell_renderer(columns, url_of),
            "rendered_rows": render_rows(columns, url_of, page.items) if renders_rows else "",
            "hidden": crud.hidden_names,
            "sorts": [path for path in self.crud_class.sort if not crud.hides(path)],
            "filters": filters,
            "hidden_parameters": list(hidden_parameters(query, filters)),
            "is_narrowed": bool(active - Paging.model_fields.keys() - {CURSOR}),
            "count": RowCount(page.total, is_exact=not page.is_estimate),
            "is_filtered": any(name in active for names in filters for name in names),
            "may_create": self.may_create(crud),
            **await self.list_context(request, crud, page),
        }

    async def _filter_form(self, crud: Crud[M], query: Paging) -> Form[Any]:
        form = FilterForm(self.crud_class.Filter, query, is_filter=True)
        form.none_label = "Any"
        form.leave_out([name for name in form.model.model_fields if crud.hides_parameter(name)])
        visible = [name for names in visible_filters(crud) for name in names]
        form.offer(await reference_choices(crud, form, lookup_url=self._lookup_url, only=visible))
        return form

    @property
    def _lookup_url(self) -> str:
        return f"{self.path}/new/choices"

    def _fields(self, request: Request, crud: Crud[M], row: M) -> RowFields:
        return RowFields(crud, row, self.formats, page_url_of, request.app.state.storage)

    async def build_form(self, request: Request, crud: Any, row: Any = None) -> Form[Any]:
        """Return the form of a row, or of a new row if it is None."""
        schema = crud.definition.unlocked(self.form_schema(row), crud.locked_names)
        form = Form(schema, row, prefix=DIALOG_PREFIX if DIALOG in request.query_params else "")
        if locked := [name for name in schema.model_fields if name in crud.locked_names]:
            texts = await self._fields(request, crud, row).read_texts(locked) if row else {}
            form.leave_out(locked, texts)
        return form

    async def _save(
        self, request: Request, crud: Crud[M], form: Form[Any], save: Callable[[Mapping[str, Any]], Awaitable[M]]
    ) -> M | None:
        """Return the saved row, or None if the form has errors."""
        if form.data is None or any(form.value(name + SEARCH_SUFFIX) for name in references_in(form.model)):
            return None
        try:
            values = self._values(form)
            storage = request.app.state.storage
            if storage.writes_to_sqlite and any(isinstance(value, Upload) for value in values.values()):
                await crud.session.commit()  # a lock of the team would keep the storage from writing
            async with stored_uploads(storage, self.crud_class.model, values, crud.session) as stored:
                return await save(stored)
        except StorageError as error:
            form.refuse(str(error), status=error.status)
        except FieldErrors as error:
            form.add_errors(error)
        return None

    def _values(self, form: Form[Any]) -> dict[str, Any]:
        """Return the values of the fields in the form. Files that the user did not replace are left out."""
        names = [name for _, names in self.sections for name in names] or form.model.model_fields
        changed = form.controls.keys() - form.files.kept
        return {name: getattr(form.data, name) for name in names if name in changed}

    async def _show_form(self, request: Request, crud: Crud[M], form: Form[Any], row: M | None) -> Response:
        in_dialog = DIALOG in request.query_params
        restore_kept_form(request, form)  # before the choices are read, which contain the selected rows
        names = [name for name in references_in(form.model) if form.lacks_choices(name)]
        new_url = None if in_dialog else add_url
        form.offer(await reference_choices(crud, form, lookup_url=self._lookup_url, add_url=new_url, only=names))
        if row:
            heading = gettext("Edit %(title)s", title=await title_of(crud, row))
        else:
            heading = gettext("Add %(name)s", name=lower_name(self.name))
        context = {
            "pages": self,
            "row": row,
            "heading": heading,
            "hidden": crud.hidden_names,
            "sections": _sections(form, self.sections),
            "action": f"{request.url.path}{f'?{DIALOG}=1' if in_dialog else ''}",
            "cancel": self.url_of(row) if row and self.has("get") else self.path,
            "in_dialog": in_dialog,
            **await self.form_context(request, crud, row),
        }
        if in_dialog and is_htmx(request):
            return templates.render_block(request, self.template("form"), "form", context | {"form": form}, form.status)
        return templates.render_form(request, self.template("form"), form, context)

    async def _after_save(self, request: Request, crud: Crud[M], row: M, message: str) -> Response:
        """Return to the list or the row with a message. In a dialog, return the new row for the form behind it."""
        title = await title_of(crud, row)
        if DIALOG in request.query_params:
            context = {"id": row.id, "title": title}
            if is_htmx(request):
                return templates.render_block(request, "crud/created.html", "created", context)
            return templates.render(request, "crud/created.html", context)
        flash(request, gettext(message, title=title))
        return redirect(request, self.after_save_url(request, row))

    async def _row_gone_error(self, request: Request, crud: Crud[M]) -> HTTPException:
        """Return the error for a form whose row is no longer at its URL. Another page shows the texts of the form."""
        allow_files(request)
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS) as submitted:
            seen = parse_hashes(str(submitted.get(SEEN_FIELD, "")))
        row_id = parse_row_id(seen.get(SEEN_ID, ""))
        if row_id is None:
            return HTTPException(404)
        page = f"{self.path}/new" if self.may_create(crud) else self.path
        notice = gettext(ROW_IS_GONE)
        with suppress(NotFound):
            row = await self._writable_row(crud, row_id, "update")
            page = f"{self.url_of(row)}/edit"
            notice = gettext("This row has another address now.")
        return make_redirect_error(request, url(page), HTTPException(404), has_form=True, notice=notice)

    async def _confirm(self, request: Request, crud: Crud[M], row: M, fault: str = "") -> Response:
        impact = await deletion_impact(crud, row, page_url_of)
        context = {**await self._row_context(crud, row), "consequences": impact, "fault": fault}
        return templates.render(request, self.template("delete"), context, 422 if fault else 200)

    async def _row_context(self, crud: Crud[M], row: M) -> Context:
        return {
            "pages": self,
            "row": row,
            "hidden": crud.hidden_names,
            "title": await title_of(crud, row),
            "row_url": self.url_of(row),
            "moves_to_trash": self.crud_class.definition.has_trash,
            "may_update": self.has("update") and await _may_write(crud, row, "update"),
            "may_delete": self.has("delete") and await _may_write(crud, row, "delete"),
        }

    async def _writable_row(self, crud: Crud[M], key: Key, action: str) -> M:
        row = await crud.get(key)
        if not await _may_write(crud, row, action):
            raise NotFound
        return row


@asynccontextmanager
async def _reading(request: Request, crud: Crud[M]) -> AsyncIterator[Crud[M]]:
    """Yield a copy of the data layer that reads the primary database without locks."""
    async with on_site(request).app.state.database.reader(fresh=True) as session:
        reader = copy(crud)
        reader.session = session
        yield reader


async def _may_write(crud: Crud[M], row: M, action: str) -> bool:
    if not crud.may(action):
        return False
    condition = crud.writable_by(action)
    if isinstance(condition, True_):
        return True
    return bool(await crud.session.scalar(select(crud.model.id).where(crud.model.id == row.id, condition)))


async def title_of(crud: Crud[Any], row: Any) -> str:
    (name,) = await names_of(crud.session, [row])
    return name


def _sections(form: Form[Any], sections: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, Sequence[str]]]:
    """Return the visible fields of the form under their headings."""
    visible = [name for name in form.model.model_fields if name in form.controls or name in form.texts]
    if not sections:
        return [("", visible)]
    groups = [(legend, [name for name in names if name in visible]) for legend, names in sections]
    return [(legend, names) for legend, names in groups if names]
