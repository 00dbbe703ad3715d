from typing import Any

from app.chat.models import MAX_EXCERPT_LENGTH, Conversation, Message
from opportune.admin import AdminView
from opportune.web import markdown


class ConversationAdmin(AdminView, model=Conversation):
    columns = ("id", "title", "owner_id", "model", "used_at")
    search = ("title",)
    filters = ("owner_id", "is_pinned", "used_at")
    readonly = ("owner_id", "created_at")
    can_create = False
    icon, category = "ti ti-messages", "Chat"


def _excerpt(message: Message, _name: Any) -> str:
    """Return the beginning of the text, without the marks of Markdown in answers."""
    text = message.text[:MAX_EXCERPT_LENGTH]
    return str(markdown.render(text).striptags()) if message.answer else text


class MessageAdmin(AdminView, model=Message):
    """Read-only list of messages."""

    columns = ("id", "conversation_id", "role", "text", "created_at")
    search = ("question", "answer.text")
    filters = ("conversation_id", "role", "created_at")
    column_formatters = {"text": _excerpt}
    can_create = can_edit = False
    icon, category = "ti ti-message", "Chat"
