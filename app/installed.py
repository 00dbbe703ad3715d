"""The installed features. Add yours here; to remove one, delete its line and its folders."""

from app.chat.feature import chat
from app.contacts.feature import contacts
from app.events.feature import events
from app.home.feature import home
from app.pydocs.feature import pydocs
from app.todos.feature import todos
from app.users.feature import users
from opportune.feature import Feature
from opportune.features import accounts, admin, answers, documents, jobs, mcp, teams

INSTALLED: tuple[Feature, ...] = (
    accounts,
    users,
    admin,
    jobs,
    answers,
    documents,
    mcp,
    teams,
    home,
    chat,
    todos,
    pydocs,
    events,
    contacts,
)
