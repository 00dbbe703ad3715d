"""Conversations and their messages. What the model says is kept with the answers of the framework."""

import secrets
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field, Relationship

from opportune.db import BigId, Model, utc_now
from opportune.llm import MAX_MODEL_NAME_LENGTH, Answer
from opportune.text import Text

MAX_TITLE_LENGTH = 100


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class TitledBy(StrEnum):
    """Whose words a title is: those of the first question until the model or its owner finds better ones."""

    QUESTION = "question"
    MODEL = "model"
    PERSON = "person"


class Conversation(Model, table=True):
    __tablename__ = "chat_conversation"
    keeps_history: ClassVar[bool] = False  # each question would add an entry
    __table_args__ = (Index("ix_chat_conversation_owner_used", "owner_id", "used_at"),)

    owner_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE")
    title: str = Field(max_length=MAX_TITLE_LENGTH)
    titled_by: TitledBy = TitledBy.QUESTION
    leaf_id: int | None = Field(default=None, sa_type=BigId)
    """The last message of the branch that is shown; the newest of all where this is not there."""
    model: str = Field(default="", max_length=MAX_MODEL_NAME_LENGTH)
    """Who answers: a name of LLM_MODELS; empty for the first."""
    system_prompt: Text = ""
    """What the model is told beforehand; empty for the chat's own words."""
    temperature: float | None = None
    created_at: datetime = Field(default_factory=utc_now)
    used_at: datetime = Field(default_factory=utc_now)
    """When something was last asked in it."""

    def __str__(self) -> str:
        return self.title

    @property
    def topic(self) -> str:
        """What its answers are about: only one of them is written at a time."""
        return topic_of(self.id)


class Message(Model, table=True):
    """A question, or the place of an answer. Along a branch their ids grow."""

    __tablename__ = "chat_message"
    keeps_history: ClassVar[bool] = False
    # A question sent twice (a double click, a retried request) is one question.
    __table_args__ = (Index("uq_chat_message_client_key", "conversation_id", "client_key", unique=True),)

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    parent_id: int | None = Field(default=None, foreign_key="chat_message.id", ondelete="SET NULL", index=True)
    """What was said before it: an answer's question, a question's answer. Several below one are branches."""
    role: Role
    question: Text = ""
    attachment_ids: list[int] = Field(default_factory=list)
    """The files that were shown with the question."""
    answer_id: int | None = Field(default=None, foreign_key="answers_answer.id", ondelete="CASCADE", unique=True)
    client_key: str | None = Field(default=None, max_length=64)
    created_at: datetime = Field(default_factory=utc_now)
    answer: Answer | None = Relationship(sa_relationship_kwargs={"lazy": "joined"})

    @property
    def text(self) -> str:
        return self.answer.text if self.answer else self.question

    @property
    def is_running(self) -> bool:
        return self.answer is not None and self.answer.is_running


class Share(Model, table=True):
    """A link with which anybody reads a conversation up to a message."""

    __tablename__ = "chat_share"

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    message_id: int = Field(foreign_key="chat_message.id", ondelete="CASCADE", index=True)
    """The last that is shown."""
    title: str = Field(max_length=MAX_TITLE_LENGTH)
    """That of the conversation as it was shared."""
    token: str = Field(default_factory=lambda: secrets.token_urlsafe(16), max_length=40, unique=True)
    """As it is: its owner is to find the link again, and whoever reads this table reads the conversations too."""
    created_at: datetime = Field(default_factory=utc_now)

    @property
    def path(self) -> str:
        return f"/chat/shared/{self.token}"

    def shows(self, message: Message) -> bool:
        """Whether it is as it was shared: an answer that broke off may have gone on since."""
        ended = message.answer.finished_at if message.answer else None
        return not message.is_running and (ended is None or ended <= self.created_at)

    def __str__(self) -> str:
        return self.title


def topic_of(conversation_id: int) -> str:
    return f"chat:{conversation_id}"
