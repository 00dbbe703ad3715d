"""Export a conversation: the current branch as Markdown, all branches as JSON."""

from collections.abc import Sequence

from app.chat.models import Conversation, Message
from app.chat.schemas import ConversationExport, MessageRead


def to_markdown(conversation: Conversation, messages: Sequence[Message]) -> str:
    parts = [f"# {conversation.title}"]
    for message in messages:
        speaker = "You" if message.answer is None else message.answer.model or "Answer"
        parts += [f"## {speaker}", message.answer.markdown if message.answer else message.text]
    return "\n\n".join(parts) + "\n"


def to_data(conversation: Conversation, messages: Sequence[Message]) -> ConversationExport:
    export = ConversationExport.model_validate(conversation)
    export.messages = [MessageRead.of(message) for message in messages]
    return export
