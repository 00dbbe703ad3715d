from app.todos.models import Todo
from opportune.admin import AdminView


class TodoAdmin(AdminView, model=Todo):
    name, plural = "To-do", "To-dos"
    columns = ("id", "title", "owner_id", "due_on", "done_at")
    filters = ("owner_id", "due_on", "done_at")
    editable = ("title", "due_on", "owner_id")
    search = ("title", "notes")
    can_import = True
    icon, category = "ti ti-checkbox", "To-dos"
