from app.todos import api, demo, pages, tools
from app.todos.models import Todo
from app.todos.panels import home_card, profile_panel, search_todos
from opportune.feature import Accounts, Admin, Data, Demo, Feature, Link, Llm, PersonalData, Site, SiteSearch

todos = Feature(
    "todos",
    "The example to learn from: the to-dos of each user, as pages and as JSON.",
    models=[Todo],
    pages=pages.router,
    api=api.router,
    admin=Admin("app.todos.admin"),
    site=Site(
        home_card=home_card,
        navigation=[
            Link(
                "To-dos", "/todos", "checkbox", signed_in=True, summary="Write down what needs to be done, and by when."
            )
        ],
        searches=[SiteSearch("To-dos", search_todos, "/todos")],
    ),
    accounts=Accounts(
        profile_panel=profile_panel, personal_data=PersonalData(summary="Your to-dos", owners=[Todo.owner_id])
    ),
    llm=Llm(tools=[tools.list_todos, tools.create_todo]),
    data=Data(demo=Demo(demo.load, demo.clear)),
)
