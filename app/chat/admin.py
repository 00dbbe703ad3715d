from app.chat.models import Conversation, Message
from opportune.admin import AdminView


class ConversationAdmin(AdminView, model=Conversation):
    columns = ("id", "title", "owner_id", "model", "used_at")
    search = ("title",)
    filters = ("owner_id", "is_pinned", "used_at")
    readonly = ("owner_id", "created_at")
    can_create = False
    icon, category = "ti ti-messages", "Chat"


class MessageAdmin(AdminView, model=Message):
    """List of messages, which staff may delete and not change."""

    columns = ("id", "conversation_id", "role", "text", "created_at")
    search = ("question", "answer.text")
    filters = ("conversation_id", "role", "created_at")
    column_formatters = {"text": lambda message, _: message.excerpt}
    can_create = can_edit = False
    icon, category = "ti ti-message", "Chat"
