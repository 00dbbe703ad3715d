"""THE list of what is installed. Add your feature here; delete a line (and the feature's folders) to remove one."""

from app.accounts.feature import accounts
from app.core.feature import Feature
from app.features.chat.feature import chat
from app.features.home.feature import home
from app.features.todos.feature import todos

INSTALLED: tuple[Feature, ...] = (
    accounts,
    home,
    chat,
    todos,
)

NAMES = [feature.name for feature in INSTALLED]
