from app.todos import api, demo, pages, tools
from app.todos.models import Todo
from app.todos.panels import profile_panel
from app.todos.search import search_todos
from opportune.feature import Demo, Feature, Link, PersonalData, SiteSearch

todos = Feature(
    name="todos",
    summary="The example to learn from: the to-dos of each user, as pages and as JSON.",
    models=[Todo],
    pages=pages.router,
    api=api.router,
    admin="app.todos.admin",
    navigation=[Link("To-dos", "/todos", "checkbox", signed_in=True)],
    searches=[SiteSearch("To-dos", search_todos, "/todos")],
    profile_panel=profile_panel,
    tools=[tools.list_todos, tools.add_todo],
    demo=Demo(demo.load, demo.clear),
    personal_data=PersonalData(summary="Your to-dos", owners=[Todo.owner_id]),
)
