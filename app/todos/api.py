from typing import Annotated

from fastapi import APIRouter, Query

from app.todos.dependencies import ReadTodos, WriteTodos
from app.todos.models import Todo
from app.todos.schemas import TodoCreate, TodoFilter, TodoRead, TodoStatistics, TodoUpdate
from opportune.db import RowId
from opportune.pagination import Page

router = APIRouter(prefix="/todos", tags=["todos"])


@router.get("", response_model=Page[TodoRead])
async def find(todos: ReadTodos, wanted: Annotated[TodoFilter, Query()]) -> Page[Todo]:
    return await todos.find(wanted)


@router.post("", response_model=TodoRead, status_code=201)
async def add(todos: WriteTodos, new: TodoCreate) -> Todo:
    return await todos.add(new)


@router.get("/statistics")
async def statistics(todos: ReadTodos) -> TodoStatistics:
    return await todos.statistics()


@router.get("/{todo_id}", response_model=TodoRead)
async def read(todos: ReadTodos, todo_id: RowId) -> Todo:
    return await todos.get(todo_id)


@router.patch("/{todo_id}", response_model=TodoRead)
async def update(todos: WriteTodos, todo_id: RowId, changes: TodoUpdate) -> Todo:
    return await todos.update(todo_id, changes)


@router.delete("/{todo_id}", status_code=204)
async def delete(todos: WriteTodos, todo_id: RowId) -> None:
    await todos.delete(todo_id)
