"""Conversations and their messages. What the model says is kept with the answers of the framework."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field, Relationship

from opportune.db import Model, utc_now
from opportune.llm import Answer
from opportune.text import Text


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class Conversation(Model, table=True):
    __tablename__ = "chat_conversation"

    owner_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    title: str = Field(max_length=100)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title

    @property
    def topic(self) -> str:
        """What its answers are about: only one of them is written at a time."""
        return topic_of(self.id)


class Message(Model, table=True):
    """A question, or the place of an answer whose `parent_id` is its question. Their order is that of their ids."""

    __tablename__ = "chat_message"
    # A question sent twice (a double click, a retried request) is one question.
    __table_args__ = (Index("uq_chat_message_client_key", "conversation_id", "client_key", unique=True),)

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    parent_id: int | None = Field(default=None, foreign_key="chat_message.id", ondelete="CASCADE", index=True)
    role: Role
    question: Text = ""
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


def topic_of(conversation_id: int) -> str:
    return f"chat:{conversation_id}"
