"""Messages as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.models import Message
from app.chat.service import ConversationView
from opportune.llm import AnswerAttachment, ShownAnswer


@dataclass(frozen=True)
class ShownMessage:
    """A message as its template wants it; a question has no answer."""

    message: Message
    answer: ShownAnswer | None
    branches: Sequence[int]
    files: Sequence[AnswerAttachment] = ()

    @property
    def place(self) -> int:
        """The message's among its branches, from 0 on."""
        return self.branches.index(self.message.id)


async def all_shown(view: ConversationView) -> list[ShownMessage]:
    return [
        ShownMessage(
            *(each, await ShownAnswer.of(each.answer) if each.answer else None, view.branches[each.id]),
            view.files_of(each),
        )
        for each in view.messages
    ]
