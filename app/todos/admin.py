from app.todos.models import Todo
from opportune.admin import AdminView


class TodoAdmin(AdminView, model=Todo):
    name, name_plural = "To-do", "To-dos"
    column_list = ("id", "title", "owner_id", "due_on", "done_at")
    column_filters = ("owner_id", "due_on", "done_at")
    column_editable = ("title", "due_on", "owner_id")
    column_searchable_list = ("title", "notes")
    can_import = True
    icon, category = "ti ti-checkbox", "To-dos"
