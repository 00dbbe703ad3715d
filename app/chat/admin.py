from app.chat.models import Conversation, Message
from opportune.admin import AdminView


class ConversationAdmin(AdminView, model=Conversation):
    readonly_columns = ("owner_id", "created_at")
    can_create = False
    icon, category = "ti ti-messages", "Chat"


class MessageAdmin(AdminView, model=Message):
    """To be read: the text of an answer belongs to the process that writes it."""

    column_list = ("id", "conversation_id", "role", "text", "status", "model", "created_at")
    column_searchable_list = ("text",)
    column_filters = ("conversation_id", "role", "status", "created_at")
    can_create = can_edit = False
    icon, category = "ti ti-message", "Chat"
