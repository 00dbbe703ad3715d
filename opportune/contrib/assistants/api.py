"""JSON API of assistants, prompts, and the memory of the user."""

from opportune.contrib.assistants.memory import Memories
from opportune.contrib.assistants.service import Assistants, Prompts
from opportune.crud import CrudApi

# The paths of prompts and of the memory come before `/assistants/{id}`.
routers = (
    CrudApi(Prompts, "/assistants/prompts").router,
    CrudApi(Memories, "/assistants/memory").router,
    CrudApi(Assistants, "/assistants").router,
)
