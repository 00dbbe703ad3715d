"""The pages of a model: list, one row, forms and the question before a deletion."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.sql.elements import True_

from opportune.crud.choices import find_rows, reference_choices, references_in
from opportune.crud.columns import ListColumn, cells_of, read_rows, visible_columns, written_rows
from opportune.crud.crud import Crud, Key
from opportune.crud.deletion import deletion_impact
from opportune.crud.details import detail_fields, field_texts
from opportune.crud.display import names_of
from opportune.crud.page_options import M, PageOptions, add_url, address_of
from opportune.crud.queries import FilterForm, hidden_parameters, read_query, shown_filters
from opportune.errors import FieldErrors, NotFound
from opportune.fields.files import stored_uploads
from opportune.pagination import Page, Paging
from opportune.storage import StorageError
from opportune.web import Form, allow_files, flash, is_htmx, redirect, templates
from opportune.web.forms.forms import FILTER_PREFIX, SEARCH_SUFFIX, fill_form
from opportune.web.rendering.blocks import is_replaced

Context = dict[str, Any]

DIALOG = "_dialog"
"""What the address of a form says that stands in the dialog of another one, beside whose field it was opened."""
DIALOG_PREFIX = "dialog-"
"""Of ids, as the form below the dialog may have a field of the same name."""


class CrudPages(PageOptions[M]):
    """The pages of a model's rows: `router = CrudPages(Books, "/books").router`. Each method can be overridden.

    A template `books/book_list.html` (`_detail`, `_form`, `_confirm_delete`) of the project takes the place of
    `crud/list.html` or extends it.
    """

    async def index(self, request: Request, crud: Any) -> Response:
        """The list; for htmx the block of it that follows what is looked for."""
        wanted = self.wanted(request, crud)
        columns = visible_columns(crud, self.shown_columns)
        page = await read_rows(crud, wanted, columns)
        context = await self._list_context(request, crud, wanted, page, columns)
        if is_htmx(request):
            return templates.render_block(request, self.template("list"), "found", context)
        context["filter"] = await self._filter_form(crud, wanted)
        return templates.render(request, self.template("list"), context)

    async def detail(self, request: Request, crud: Any, key: Key, form: Form[Any] | None = None) -> Response:
        """The page of one row, for htmx its block `below`.

        A route of one's own gives the form that was sent from there and is not right: it is the `form` of the template.
        """
        row = await crud.get(key)
        context = {
            **await self._row_context(crud, row),
            "fields": await detail_fields(crud, row, self.fields, self.formats, address_of, request.app.state.storage),
            **await self.detail_context(request, crud, row),
            **({"form": form} if form else {}),
        }
        status, template = form.status if form else 200, self.template("detail")
        if is_htmx(request):
            return templates.render_block(request, template, "below", context, status)
        return templates.render(request, template, context, status)

    async def new(self, request: Request, crud: Any) -> Response:
        """Show the form of a new row. Parameters of the address, such as `?title=Emma`, prefill its fields."""
        form = await self._form(request, crud)
        form.prefill(request.query_params)
        return await self._show_form(request, crud, form, None)

    async def create(self, request: Request, crud: Any) -> Response:
        """Add what was sent, or show what is wrong with it."""
        form = await self._read_form(request, crud)
        if row := await self._saved(request, form, crud.add):
            return await self._after_save(request, crud, row, "is added")
        return await self._show_form(request, crud, form, None)

    async def edit(self, request: Request, crud: Any, key: Key) -> Response:
        """The form of a row that is there."""
        row = await self._writable(crud, key, "edit")
        return await self._show_form(request, crud, await self._form(request, crud, row), row)

    async def update(self, request: Request, crud: Any, key: Key) -> Response:
        """Change what was sent, or show what is wrong with it."""
        if (await self._form(request, crud)).takes_files:
            allow_files(request)
        await request.body()  # before the row is locked: who sends slowly keeps nobody waiting
        row = await crud.get_writable(key)
        form = await self._read_form(request, crud, row)
        title = await title_of(crud, row)

        async def change(values: Mapping[str, Any]) -> M:
            changed: M = await crud.change(row, values)
            return changed

        if await self._saved(request, form, change):
            return await self._after_save(request, crud, row, "is saved")
        return await self._show_form(request, crud, form, row, title)

    async def confirm_delete(self, request: Request, crud: Any, key: Key) -> Response:
        """Ask before a row is deleted, and say what goes with it."""
        return await self._ask(request, crud, await self._writable(crud, key, "delete"))

    async def delete(self, request: Request, crud: Any, key: Key) -> Response:
        """Delete a row."""
        row = await crud.get_writable(key, "delete")
        title = await title_of(crud, row)
        try:
            await crud.delete(row)
        except FieldErrors as refusal:
            return await self._ask(request, crud, await crud.get(key), str(refusal))
        flash(request, f"“{title}” is deleted.")
        return redirect(request, self.path)

    async def choices(self, request: Request, crud: Any) -> Response:
        """As JSON the rows that a field can point at and that have the words which somebody types."""
        asked = request.query_params
        schemas: list[type[BaseModel]] = [crud.Filter] if crud.may("list") else []
        schemas += [crud.Create] if crud.may("create") or crud.may("edit") else []
        fields = {
            name: model
            for schema in schemas
            for name, model in references_in(schema).items()
            if not crud.hides_parameter(name)
        }
        if (model := fields.get(asked.get("name", ""))) is None:
            raise NotFound
        return JSONResponse({"results": await find_rows(crud, model, asked.get("term", ""))})

    # What a project changes

    def wanted(self, request: Request, crud: Any) -> Paging:
        """What the list is asked: of the address."""
        return read_query(crud, request.query_params)

    async def list_context(self, request: Request, crud: Any, page: Page[Any]) -> Context:
        """What the template of the list sees besides."""
        return {}

    async def detail_context(self, request: Request, crud: Any, row: M) -> Context:
        """What the template of one row sees besides."""
        return {}

    async def form_context(self, request: Request, crud: Any, row: M | None) -> Context:
        """What the template of the form sees besides; there is no row where a new one is asked for."""
        return {}

    def after_save_url(self, request: Request, row: M) -> str:
        """Where somebody goes who has added or changed a row."""
        return self.address(row) if self.has("detail") else self.path

    def form_schema(self, row: M | None) -> type[BaseModel]:
        """What the form asks for, of a new row and of one that is there."""
        return self.kind.Create

    # How it is done

    async def _list_context(
        self, request: Request, crud: Crud[M], wanted: Paging, page: Page[Any], columns: Sequence[ListColumn]
    ) -> Context:
        filters = shown_filters(crud)
        is_own = is_replaced(templates.environment, self.template("list"), "row")
        asked = {name for name, value in wanted if name in wanted.model_fields_set and value not in (None, "", [])}
        return {
            "pages": self,
            "page": page,
            "wanted": wanted,
            "columns": columns,
            "cells": cells_of(columns, self.address),
            "written": "" if is_own else written_rows(columns, self.address, page.items),
            "hidden": crud.hidden_names,
            "sorts": [path for path in self.kind.sort if not crud.hides(path)],
            "filters": filters,
            "kept": list(hidden_parameters(wanted, filters)),
            "is_narrowed": bool(asked - Paging.model_fields.keys()),
            "is_filtered": any(name in asked for names in filters for name in names),
            "may_create": self.may_create(crud),
            **await self.list_context(request, crud, page),
        }

    async def _filter_form(self, crud: Crud[M], wanted: Paging) -> Form[Any]:
        form = FilterForm(self.kind.Filter, wanted, prefix=FILTER_PREFIX)
        form.none_label = "Any"
        form.leave_out([name for name in form.model.model_fields if crud.hides_parameter(name)])
        shown = [name for names in shown_filters(crud) for name in names]
        form.offer(await reference_choices(crud, form, lookup_url=self._lookup_url, only=shown))
        return form

    @property
    def _lookup_url(self) -> str:
        return f"{self.path}/new/choices"

    async def _form(self, request: Request, crud: Crud[M], row: M | None = None) -> Form[Any]:
        schema = crud.definition.unlocked(self.form_schema(row), crud.locked_names)
        form = Form(schema, row, prefix=_prefix(request))
        if locked := [name for name in schema.model_fields if name in crud.locked_names]:
            storage = request.app.state.storage
            texts = await field_texts(crud, row, locked, self.formats, address_of, storage) if row else {}
            form.leave_out(locked, texts)
        return form

    async def _read_form(self, request: Request, crud: Crud[M], row: M | None = None) -> Form[Any]:
        return await fill_form(request, await self._form(request, crud, row))

    async def _saved(
        self, request: Request, form: Form[Any], save: Callable[[Mapping[str, Any]], Awaitable[M]]
    ) -> M | None:
        """The row of what was sent; None where something is wrong with it, which the form says then."""
        if form.data is None or any(form.value(name + SEARCH_SUFFIX) for name in references_in(form.model)):
            return None
        try:
            async with stored_uploads(request.app.state.storage, self.kind.model, self._values(form)) as values:
                return await save(values)
        except StorageError as error:
            form.refuse(str(error), status=error.status)
            return None
        except FieldErrors as refusal:
            form.show(refusal)
            return None

    def _values(self, form: Form[Any]) -> dict[str, Any]:
        """What was asked for by name, also what was emptied. A file that nobody chose or removed stays as it is."""
        asked = [name for _, names in self.sections for name in names] or form.model.model_fields
        written = form.controls.keys() - form.kept_files
        return {name: getattr(form.data, name) for name in asked if name in written}

    async def _show_form(
        self, request: Request, crud: Crud[M], form: Form[Any], row: M | None, title: str = ""
    ) -> Response:
        in_dialog = DIALOG in request.query_params
        adding = None if in_dialog else add_url
        form.offer(await reference_choices(crud, form, lookup_url=self._lookup_url, add_url=adding))
        context = {
            "pages": self,
            "row": row,
            "heading": f"Edit {title or await title_of(crud, row)}" if row else f"Add {self.name.lower()}",
            "hidden": crud.hidden_names,
            "sections": _sections(form, self.sections),
            "action": f"{request.url.path}{f'?{DIALOG}=1' if in_dialog else ''}",
            "cancel": self.address(row) if row and self.has("detail") else self.path,
            "in_dialog": in_dialog,
            **await self.form_context(request, crud, row),
        }
        if in_dialog and is_htmx(request):
            return templates.render_block(request, self.template("form"), "form", context | {"form": form}, form.status)
        return templates.render_form(request, self.template("form"), form, context)

    async def _after_save(self, request: Request, crud: Crud[M], row: M, what: str) -> Response:
        title = await title_of(crud, row)
        if DIALOG in request.query_params:
            context = {"id": row.id, "title": title}
            if is_htmx(request):
                return templates.render_block(request, "crud/created.html", "created", context)
            return templates.render(request, "crud/created.html", context)
        flash(request, f"“{title}” {what}.")
        return redirect(request, self.after_save_url(request, row))

    async def _ask(self, request: Request, crud: Crud[M], row: M, fault: str = "") -> Response:
        context = {
            **await self._row_context(crud, row),
            "consequences": await deletion_impact(crud, row),
            "fault": fault,
        }
        return templates.render(request, self.template("confirm_delete"), context, 422 if fault else 200)

    async def _row_context(self, crud: Crud[M], row: M) -> Context:
        return {
            "pages": self,
            "row": row,
            "hidden": crud.hidden_names,
            "title": await title_of(crud, row),
            "address": self.address(row),
            "may_change": self.has("edit") and await self._may_write(crud, row, "edit"),
            "may_delete": self.has("delete") and await self._may_write(crud, row, "delete"),
        }

    async def _writable(self, crud: Crud[M], key: Key, action: str) -> M:
        """The row, for a page that asks before it is changed."""
        row = await crud.get(key)
        if not await self._may_write(crud, row, action):
            raise NotFound
        return row

    async def _may_write(self, crud: Crud[M], row: M, action: str) -> bool:
        if not crud.may(action):
            return False
        condition = crud.writable()
        if isinstance(condition, True_):
            return True
        return bool(await crud.session.scalar(select(crud.model.id).where(crud.model.id == row.id, condition)))


async def title_of(crud: Crud[Any], row: Any) -> str:
    (name,) = await names_of(crud.session, [row])
    return name


def _sections(form: Form[Any], sections: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, Sequence[str]]]:
    """The fields of the form under their headings, without those that are left out."""
    shown = [name for name in form.model.model_fields if name in form.controls or name in form.texts]
    grouped = [(legend, [name for name in names if name in shown]) for legend, names in sections]
    return [each for each in grouped if each[1]] if sections else [("", shown)]


def _prefix(request: Request) -> str:
    return DIALOG_PREFIX if DIALOG in request.query_params else ""
