"""Dependencies that give routes the data layer."""

from typing import Annotated

from app.todos.service import Todos
from opportune.crud import reading, writing

ReadTodos = Annotated[Todos, reading(Todos)]
WriteTodos = Annotated[Todos, writing(Todos)]
