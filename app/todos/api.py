from app.todos.dependencies import ReadTodos
from app.todos.schemas import TodoStatistics
from app.todos.service import Todos
from opportune.crud import CrudApi

router = CrudApi(Todos, "/todos").router


@router.get("/statistics")
async def statistics(todos: ReadTodos) -> TodoStatistics:
    return await todos.statistics()
