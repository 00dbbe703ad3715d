"""Pages of the prompt library."""

from opportune.contrib.assistants.models import Prompt
from opportune.contrib.assistants.prompts import Prompts
from opportune.contrib.assistants.shared_pages import SharedPages


class PromptPages(SharedPages[Prompt]):
    columns = ("name", "description", "shared_with")
    sections = (("", ("name", "description", "text", "shared_with")),)
    fields = ("description", "text", "shared_with")


router = PromptPages(Prompts, "/assistants/prompts").router
