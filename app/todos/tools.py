"""Tools for language models: list and create the user's to-dos."""

from collections.abc import Sequence

from app.todos.dependencies import ReadTodos, WriteTodos
from app.todos.models import Todo
from app.todos.schemas import State, TodoCreate, TodoFilter, TodoRead


async def list_todos(todos: ReadTodos, state: State = "open", page: int = 1) -> Sequence[TodoRead]:
    """List the user's to-dos, the most urgent first, 50 on a page."""
    results = await todos.list(TodoFilter(state=state, page=page, size=50))
    return [TodoRead.model_validate(row) for row in results.items]


async def create_todo(todos: WriteTodos, todo: TodoCreate) -> str:
    """Create a to-do."""
    created: Todo = await todos.create(todo)
    return f"Added: {created.title}"
