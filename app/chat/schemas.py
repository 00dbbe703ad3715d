from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import Base64Bytes, ConfigDict, Field

from app.chat.models import MAX_TITLE_LENGTH, Message, Role
from opportune.db import MAX_ID
from opportune.llm import MAX_ATTACHMENTS, MAX_MODEL_NAME_LENGTH, Answer, AnswerStatus
from opportune.pagination import Paging, SortBy
from opportune.text import Line, Text
from opportune.web import FieldOptions, Schema, Upload

MAX_QUESTION_LENGTH = 8_000

Question = Annotated[Text, Field(min_length=1, max_length=MAX_QUESTION_LENGTH)]


class MessageCreate(Schema):
    content: Question
    client_key: Line | None = Field(default=None, max_length=64)
    """The same key sent twice is one question."""


class FileCreate(Schema):
    filename: Annotated[Line, Field(min_length=1, max_length=100)]
    content: Base64Bytes


class QuestionCreate(MessageCreate):
    attachments: Annotated[list[FileCreate], Field(max_length=MAX_ATTACHMENTS)] = []


class ConversationSettings(Schema):
    """Who answers, and how: from the next answer on."""

    model_config = ConfigDict(from_attributes=True)

    model: Annotated[Line, Field(max_length=MAX_MODEL_NAME_LENGTH, title="Model")] = ""
    """A name of LLM_MODELS; empty for the first."""
    system_prompt: Annotated[Text, Field(max_length=MAX_QUESTION_LENGTH, title="System prompt")] = ""
    """Empty for the chat's own words."""
    temperature: Annotated[float | None, Field(ge=0, le=2, title="Temperature")] = None
    """0 for what is likeliest, up to 2; null for the model's own."""


class ConversationCreate(QuestionCreate, ConversationSettings): ...


class MessageForm(MessageCreate):
    attachments: list[Upload] = []
    last: int = Field(default=0, ge=0, le=MAX_ID)
    """The last message that the page shows: what came since, from another tab, is sent along."""


class ConversationForm(MessageForm, ConversationSettings): ...


class AttachmentRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    filename: str
    content_type: str
    size_bytes: int


class MessageRead(Schema):
    id: int
    parent_id: int | None
    """What was said before it."""
    branches: Sequence[int] = ()
    """What there is in its place, itself among it, in order."""
    role: Role
    text: str
    reasoning: str
    """Reasoning of the model, stored apart from its answer."""
    sources: list[dict[str, str]]
    """What an answer may cite, each with `title` and `url`: the first as [1]."""
    status: AnswerStatus
    error_code: str
    error: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    created_at: datetime
    finished_at: datetime | None
    omitted: str
    """What the model was not sent, in words."""
    attachment_ids: Sequence[int] = ()
    """The files that were shown with a question; an answer has none."""

    @classmethod
    def of(cls, message: Message, branches: Sequence[int] = ()) -> Self:
        told = message.answer or Answer(text=message.question, status=AnswerStatus.DONE)
        values = {name: getattr(told, name) for name in cls.model_fields if name in Answer.model_fields}
        ours = {name: getattr(message, name) for name in ("id", "parent_id", "role", "attachment_ids")}
        return cls(**{**values, **ours, "branches": branches, "created_at": message.created_at})


class ConversationRead(ConversationSettings):
    id: int
    title: str
    created_at: datetime
    used_at: datetime
    """When something was last asked in it."""


class ConversationTitle(Schema):
    title: Line = Field(min_length=1, max_length=MAX_TITLE_LENGTH)


class ConversationUpdate(ConversationSettings):
    title: Line | None = Field(default=None, min_length=1, max_length=MAX_TITLE_LENGTH)


class ConversationExport(ConversationRead):
    leaf_id: int | None
    """The last message of the branch that is shown: by `parent_id` it leads to the others."""
    messages: list[MessageRead] = []


class ShareRead(Schema):
    model_config = ConfigDict(from_attributes=True)

    id: int
    conversation_id: int
    message_id: int
    """The last message that is shown."""
    title: str
    created_at: datetime
    path: str
    """Where anybody reads it, at this site."""


class ConversationDetail(ConversationRead):
    messages: list[MessageRead]
    attachments: list[AttachmentRead]
    """The files that these messages name: `/answers/attachments/{id}` shows each to its owner."""
    earlier: int | None
    """There are earlier messages: those `before` this one. Null: these are the first."""


class MessageCreated(Schema):
    conversation: int
    """The id of the conversation, at `/api/v1/conversations/{id}`."""
    message: MessageRead
    """The question as it was stored."""
    answer: MessageRead
    stream_url: str
    """Where the answer is sent as it comes."""


class ConversationFilter(Paging):
    q: Annotated[Line, FieldOptions(type="search")] = Field("", max_length=200, title="Search")
    size: int = Field(50, ge=1, le=100)
    sort: Annotated[str, SortBy("title", "created_at", "used_at")] = ""


class ConversationPageFilter(ConversationFilter):
    """Query of a conversation's page, which also lists the conversations."""

    before: int | None = None
    """The message before which messages are shown; read by `get_conversation_view`, like `at`."""
    at: int | None = None
