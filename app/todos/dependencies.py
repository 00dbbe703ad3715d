"""Dependencies that provide the data layer to routes."""

from typing import Annotated

from app.todos.service import Todos
from opportune.crud import reading, writing

ReadTodos = Annotated[Todos, reading(Todos)]
WriteTodos = Annotated[Todos, writing(Todos)]
