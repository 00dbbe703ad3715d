"""THE list of what is installed. Add your feature here; delete a line (and the feature's folders) to remove one."""

from app.accounts.feature import accounts
from app.admin.feature import admin
from app.core.feature import Feature
from app.features.chat.feature import chat
from app.features.events.feature import events
from app.features.home.feature import home
from app.features.pydocs.feature import pydocs
from app.features.todos.feature import todos
from app.jobs.feature import jobs

INSTALLED: tuple[Feature, ...] = (
    accounts,
    admin,
    jobs,
    home,
    chat,
    todos,
    pydocs,
    events,
)

NAMES = [feature.name for feature in INSTALLED]
