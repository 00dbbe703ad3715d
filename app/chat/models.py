"""Conversations, their messages, and the chunks of answers that are still being written."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field

from opportune.db import Model, ModelBase, PartialIndex, utc_now
from opportune.text import Text


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class Status(StrEnum):
    """State of a message: a question is DONE at once. An answer is STREAMING, then one of the others for good."""

    STREAMING = "streaming"
    DONE = "done"
    TRUNCATED = "truncated"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Conversation(Model, table=True):
    __tablename__ = "chat_conversation"

    owner_id: int = Field(foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    title: str = Field(max_length=100)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title


class Message(Model, table=True):
    """A question, or an answer whose `parent_id` is its question. Their order is that of their ids."""

    __tablename__ = "chat_message"
    __table_args__ = (
        # One running answer per conversation, whoever asks at the same moment.
        PartialIndex("uq_chat_message_running", "conversation_id", where="status = 'streaming'", unique=True),
        # A question sent twice (a double click, a retried request) is one question.
        Index("uq_chat_message_client_key", "conversation_id", "client_key", unique=True),
    )

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    parent_id: int | None = Field(default=None, foreign_key="chat_message.id", ondelete="CASCADE", index=True)
    role: Role
    text: Text = ""
    status: Status = Status.DONE
    client_key: str | None = Field(default=None, max_length=64)
    created_at: datetime = Field(default_factory=utc_now)

    # Of answers only.
    worker: str = Field(default="", max_length=32)
    """The process that writes this answer."""
    lease_until: datetime | None = None
    """When to take that process for dead, unless it has renewed this."""
    stop_requested: bool = False
    model: str = Field(default="", max_length=200)
    error_code: str = Field(default="", max_length=40)
    error: str = Field(default="", max_length=500)
    """One sentence for the person who asked."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usage_estimated: bool = True
    finished_at: datetime | None = None


class AnswerChunk(ModelBase, table=True):
    """A chunk of a running answer. Appended, so its cost does not grow with the answer; gone when that is done."""

    __tablename__ = "chat_answer_chunk"

    message_id: int = Field(foreign_key="chat_message.id", ondelete="CASCADE", primary_key=True)
    seq: int = Field(primary_key=True)
    text: Text
