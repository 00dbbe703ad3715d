"""THE list of what is installed. Add your feature here; delete a line (and the feature's folders) to remove one."""

from app.chat.feature import chat
from app.events.feature import events
from app.home.feature import home
from app.pydocs.feature import pydocs
from app.todos.feature import todos
from app.users.feature import users
from opportune.feature import Feature
from opportune.features import accounts, admin, answers, jobs, mcp, teams

INSTALLED: tuple[Feature, ...] = (
    accounts,
    users,
    admin,
    jobs,
    answers,
    mcp,
    teams,
    home,
    chat,
    todos,
    pydocs,
    events,
)
