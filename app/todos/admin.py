from app.todos.models import Todo
from opportune.admin import AdminView


class TodoAdmin(AdminView, model=Todo):
    name, name_plural = "To-do", "To-dos"
    # startproject: leave out without teams
    column_list = ("id", "title", "owner_id", "team_id", "due_on", "done_at")
    column_filters = ("owner_id", "team_id", "due_on", "done_at")
    # startproject: go on
    # startproject: write without teams
    # column_list = ("id", "title", "owner_id", "due_on", "done_at")
    # column_filters = ("owner_id", "due_on", "done_at")
    # startproject: go on
    column_editable = ("title", "due_on", "owner_id")
    column_searchable_list = ("title", "notes")
    can_import = True
    icon, category = "ti ti-checkbox", "To-dos"
