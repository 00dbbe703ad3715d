"""Pages of a user's to-dos."""

from typing import Annotated

from fastapi import Form as FormField
from fastapi import Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import URL

from app.todos.dependencies import ReadTodos, WriteTodos
from app.todos.schemas import TodoCreate, TodoFilter, TodoUpdate
from app.todos.service import Todos
from opportune.db import RowId
from opportune.i18n import gettext as _
from opportune.web import APIRouter, Form, flash, is_htmx, read_form, redirect, templates

router = APIRouter(prefix="/todos")


@router.get("")
async def list_todos(request: Request, todos: ReadTodos, filters: Annotated[TodoFilter, Query()]) -> Response:
    return await show_list(request, todos, filters, Form(TodoCreate))


@router.post("")
async def create(request: Request, todos: WriteTodos) -> Response:
    form = await read_form(request, TodoCreate)
    if form.data is None:
        return await show_list(request, todos, TodoFilter(), form)
    await todos.create(form.data)
    if not is_htmx(request):
        return RedirectResponse("/todos#title", 303)  # focuses the form for another to-do
    context = await list_context(todos, TodoFilter(), Form(TodoCreate))
    response = templates.render_block(request, "todos/list.html", "added", context | {"is_added": True})
    response.headers["HX-Replace-Url"] = "/todos"
    return response


@router.get("/{todo_id}")
async def update_form(request: Request, todos: ReadTodos, todo_id: RowId) -> Response:
    todo = await todos.get(todo_id)
    return templates.render_form(request, "todos/update.html", Form(TodoCreate, todo), {"todo": todo})


@router.post("/{todo_id}")
async def update(request: Request, todos: WriteTodos, todo_id: RowId) -> Response:
    form = await read_form(request, TodoCreate)
    todo = await todos.get(todo_id)
    if form.data is None:
        return templates.render_form(request, "todos/update.html", form, {"todo": todo})
    await todos.update(todo_id, TodoUpdate.model_validate(form.data.model_dump()))
    flash(request, _("“%(title)s” is saved.", title=form.data.title))
    return redirect(request, list_url(request))


@router.post("/{todo_id}/done")
async def set_done(request: Request, todos: WriteTodos, todo_id: RowId, done: Annotated[bool, FormField()]) -> Response:
    await todos.update(todo_id, TodoUpdate(done=done))
    return RedirectResponse(list_url(request), 303)


@router.post("/{todo_id}/delete")
async def delete(request: Request, todos: WriteTodos, todo_id: RowId) -> Response:
    todo = await todos.get(todo_id)
    await todos.delete(todo_id)
    flash(
        request,
        _("“%(title)s” is deleted.", title=todo.title),
        undo=f"/todos/{todo_id}/restore?{request.url.query}",
    )
    return RedirectResponse(list_url(request), 303)


@router.post("/{todo_id}/restore")
async def restore(request: Request, todos: WriteTodos, todo_id: RowId) -> Response:
    await todos.restore(todo_id)
    return RedirectResponse(list_url(request), 303)


async def show_list(request: Request, todos: Todos, filters: TodoFilter, form: Form[TodoCreate]) -> Response:
    context = await list_context(todos, filters, form)
    if is_htmx(request) and not form.errors:
        return templates.render_block(request, "todos/list.html", "board", context)
    return templates.render_form(request, "todos/list.html", form, context)


async def list_context(todos: Todos, filters: TodoFilter, form: Form[TodoCreate]) -> dict[str, object]:
    return {
        "page": await todos.list(filters),
        "statistics": await todos.statistics(),
        "query": filters,
        "today": todos.today,
        "form": form,
        "filter": Form(TodoFilter, filters, is_filter=True),
        "is_added": False,
    }


def list_url(request: Request) -> str:
    """Return the URL of the list with the filter that the form was sent from."""
    return str(URL("/todos").replace(query=request.url.query))
