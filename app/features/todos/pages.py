from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import URL

from app.core.db.model import RowId
from app.core.web.forms import Form as SentForm
from app.core.web.forms import read_form
from app.core.web.templating import is_htmx, templates
from app.features.todos.current import ReadTodos, WriteTodos
from app.features.todos.schemas import TodoChange, TodoCreate, TodoFilter
from app.features.todos.service import Todos

router = APIRouter(prefix="/todos")


@router.get("")
async def index(request: Request, todos: ReadTodos, wanted: Annotated[TodoFilter, Query()]) -> Response:
    return await show_list(request, todos, wanted, SentForm())


@router.post("")
async def add(request: Request, todos: WriteTodos) -> Response:
    form = await read_form(request, TodoCreate)
    if form.data is None:
        return await show_list(request, todos, TodoFilter(), form)
    await todos.add(form.data)
    return to_list(request)


@router.get("/{todo_id}")
async def edit(request: Request, todos: ReadTodos, todo_id: RowId) -> Response:
    return templates.page(request, "todos/edit.html", {"todo": await todos.get(todo_id), "form": SentForm()})


@router.post("/{todo_id}")
async def save(request: Request, todos: WriteTodos, todo_id: RowId) -> Response:
    form, todo = await read_form(request, TodoCreate), await todos.get(todo_id)
    if form.data is None:
        return templates.page(request, "todos/edit.html", {"todo": todo, "form": form}, 422)
    await todos.change(todo_id, TodoChange.model_validate(form.data.model_dump()))
    return to_list(request)


@router.post("/{todo_id}/done")
async def mark(request: Request, todos: WriteTodos, todo_id: RowId, done: Annotated[bool, Form()]) -> Response:
    await todos.change(todo_id, TodoChange(done=done))
    return to_list(request)


@router.post("/{todo_id}/delete")
async def delete(request: Request, todos: WriteTodos, todo_id: RowId) -> Response:
    await todos.delete(todo_id)
    return to_list(request)


async def show_list(request: Request, todos: Todos, wanted: TodoFilter, form: SentForm[TodoCreate]) -> Response:
    page, statistics = await todos.find(wanted), await todos.statistics()
    context = {"page": page, "statistics": statistics, "wanted": wanted, "form": form, "today": todos.today}
    if is_htmx(request):
        return templates.block(request, "todos/list.html", "board", context)
    return templates.page(request, "todos/list.html", context, 422 if form.errors else 200)


def to_list(request: Request) -> Response:
    """Back to the list as it was: its filter travels in the address of each form."""
    return RedirectResponse(URL("/todos").replace(query=request.url.query), 303)
