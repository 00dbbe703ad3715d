from opportune.admin import AdminView
from opportune.contrib.assistants.models import Assistant


class AssistantAdmin(AdminView, model=Assistant):
    """Assistants without their instructions, which their owners keep to themselves."""

    columns = fields = ("id", "name", "description", "shared_with", "owner_id", "model", "created_at")
    search = ("name", "description")
    filters = ("shared_with", "owner_id")
    can_create = can_edit = False
    icon, category = "ti ti-robot", "Language models"
