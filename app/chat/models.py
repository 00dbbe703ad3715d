"""Conversations and their messages. The framework stores the answers."""

import re
import secrets
from datetime import datetime
from enum import StrEnum
from textwrap import shorten
from typing import ClassVar

from sqlalchemy import Index, UniqueConstraint, false, text
from sqlmodel import Field, Relationship

from opportune.accounts import OwnerId
from opportune.contrib.answers import Answer
from opportune.contrib.llm import MAX_MODEL_NAME_LENGTH
from opportune.db import BigId, Model, SoftDelete, utc_now
from opportune.fields import Text

MAX_TITLE_LENGTH = 100
MAX_FOLDER_LENGTH = 50
MAX_EXCERPT_LENGTH = 400
LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")
MARKS = re.compile(r"[*`#|]|-{3,}")
"""Usual marks of Markdown. Rendering the Markdown of each row of a list would take too long."""


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class TitledBy(StrEnum):
    """Author of a title: at first the question, later the model or the owner."""

    QUESTION = "question"
    MODEL = "model"
    PERSON = "person"


class Conversation(Model, SoftDelete, table=True):
    __tablename__ = "chat_conversation"
    keep_deleted_days: ClassVar[int | None] = 7
    keeps_history: ClassVar[bool] = False  # each question would add an entry
    __table_args__ = (Index("ix_chat_conversation_owner_used", "owner_id", "used_at"),)

    owner_id: OwnerId = Field(index=False)
    title: str = Field(max_length=MAX_TITLE_LENGTH)
    titled_by: TitledBy = TitledBy.QUESTION
    leaf_id: int | None = Field(default=None, sa_type=BigId, title="Leaf")
    """Last message of the current branch. If it was deleted, the newest message is used."""
    model: str = Field(default="", max_length=MAX_MODEL_NAME_LENGTH)
    """A name of LLM_MODELS. Empty for the first."""
    compare_with: str = Field(
        default="", max_length=MAX_MODEL_NAME_LENGTH, sa_column_kwargs={"server_default": text("''")}
    )
    """A name of LLM_MODELS that answers each question beside the model. Empty for one answer."""
    system_prompt: Text = ""
    """Empty for the default in `prompt.py`."""
    temperature: float | None = None
    assistant_id: int | None = Field(default=None, sa_type=BigId, title="Assistant")
    """Not a foreign key, so that the conversation can tell that its assistant was deleted."""
    assistant_name: str = Field(
        default="", max_length=MAX_TITLE_LENGTH, sa_column_kwargs={"server_default": text("''")}
    )
    folder: str = Field(default="", max_length=MAX_FOLDER_LENGTH, sa_column_kwargs={"server_default": text("''")})
    """Name of a folder of the owner. Empty for none."""
    is_pinned: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Pinned conversations are listed first."""
    is_temporary: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    """Not listed, searched or titled, and deleted when it was not used for a day."""
    created_at: datetime = Field(default_factory=utc_now)
    used_at: datetime = Field(default_factory=utc_now)
    """Time of the last question."""

    def __str__(self) -> str:
        return self.title

    @property
    def topic(self) -> str:
        """Topic of its answers. Only one answer per topic runs at a time."""
        return f"chat:{self.id}"

    @property
    def beside_topic(self) -> str:
        """Topic of the answers of the second model, so that two may answer the same question."""
        return f"{self.topic}:beside"


class Message(Model, table=True):
    """A question, or an answer in the tree of messages. Ids increase along a branch."""

    __tablename__ = "chat_message"
    # A repeated request (a double click, a retry) stores one question.
    __table_args__ = (Index("uq_chat_message_client_key", "conversation_id", "client_key", unique=True),)

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    parent_id: int | None = Field(default=None, foreign_key="chat_message.id", ondelete="SET NULL", index=True)
    """Question of an answer, or the answer before a question. Messages with the same parent are branches."""
    role: Role
    question: Text = ""
    attachment_ids: list[int] = Field(default_factory=list)
    """Files of a question."""
    follow_ups: list[str] = Field(default_factory=list, sa_column_kwargs={"server_default": text("'[]'")})
    """Questions that the model suggests after an answer."""
    read_from_id: int | None = Field(default=None, sa_type=BigId, title="Read from")
    """First question that the model read for an answer, if earlier messages did not fit. Not a foreign key."""
    answer_id: int | None = Field(default=None, foreign_key="answers_answer.id", ondelete="CASCADE", unique=True)
    client_key: str | None = Field(default=None, max_length=64)
    created_at: datetime = Field(default_factory=utc_now)
    answer: Answer | None = Relationship(sa_relationship_kwargs={"lazy": "joined"})

    def __str__(self) -> str:
        return shorten(self.excerpt, MAX_TITLE_LENGTH, placeholder="…") or f"#{self.id}"

    @property
    def excerpt(self) -> str:
        """The beginning of the text, without the marks of Markdown in answers."""
        text = self.text[:MAX_EXCERPT_LENGTH]
        return MARKS.sub("", LINK.sub(r"\1", text)) if self.answer else text

    @property
    def text(self) -> str:
        return self.answer.text if self.answer else self.question

    @property
    def is_running(self) -> bool:
        return self.answer is not None and self.answer.is_running


class Document(Model, table=True):
    """A text that the user and the model edit beside the conversation."""

    __tablename__ = "chat_document"

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    title: str = Field(max_length=MAX_TITLE_LENGTH)
    version: int = 1
    """Number of the current version."""
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.title


class DocumentVersion(Model, table=True):
    """A text of a document, by the user or the model. It is never changed."""

    __tablename__ = "chat_document_version"
    __table_args__ = (UniqueConstraint("document_id", "number"),)

    document_id: int = Field(foreign_key="chat_document.id", ondelete="CASCADE")
    number: int
    base: int = 0
    """Number of the version from which it was written."""
    text: Text = ""
    """Empty while the model writes it."""
    answer_id: int | None = Field(default=None, foreign_key="answers_answer.id", ondelete="SET NULL", index=True)
    """Answer of the model that wrote it."""
    model: str = Field(default="", max_length=200)
    """Model that wrote it. Empty for the user."""
    created_at: datetime = Field(default_factory=utc_now)


class Share(Model, table=True):
    """A public link to a conversation up to a message."""

    __tablename__ = "chat_share"

    conversation_id: int = Field(foreign_key="chat_conversation.id", ondelete="CASCADE", index=True)
    message_id: int = Field(foreign_key="chat_message.id", ondelete="CASCADE", index=True)
    """Last message of the shared branch."""
    title: str = Field(max_length=MAX_TITLE_LENGTH)
    """Title of the conversation when it was shared."""
    token: str = Field(default_factory=lambda: secrets.token_urlsafe(16), max_length=40, unique=True)
    """Not hashed: the owner can copy the link again, and the database also contains the conversations."""
    created_at: datetime = Field(default_factory=utc_now)

    @property
    def path(self) -> str:
        return f"/chat/shared/{self.token}"

    def shows(self, message: Message) -> bool:
        """Return True if a message is unchanged since it was shared. An interrupted answer may have been continued."""
        finished_at = message.answer.finished_at if message.answer else None
        return not message.is_running and (finished_at is None or finished_at <= self.created_at)

    def __str__(self) -> str:
        return self.title
