"""The prompt library."""

from opportune.contrib.assistants.models import Prompt
from opportune.contrib.assistants.sharing import SharedRows


class Prompts(SharedRows[Prompt]):
    search = ("name", "description")
    sort = ("name", "created_at")
    order = ("name",)
    exclude = ("team_id", "shared_at")
