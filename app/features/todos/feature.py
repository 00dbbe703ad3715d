from app.core.feature import Demo, Feature, Link
from app.features.todos import api, demo, pages
from app.features.todos.admin import TodoAdmin
from app.features.todos.models import Todo
from app.features.todos.personal import personal_data

todos = Feature(
    name="todos",
    summary="The example to learn from: each person's to-dos, as pages and as JSON.",
    models=[Todo],
    pages=pages.router,
    api=api.router,
    admin=[TodoAdmin],
    navigation=[Link("To-dos", "/todos", "checkbox")],
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
)
