"""Input of the chat's forms and API, and output of the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import Base64Bytes, Field

from app.chat.models import MAX_FOLDER_LENGTH, MAX_TITLE_LENGTH, Conversation, Message, Role
from opportune.contrib.answers import Answer, AnswerFields, AnswerStatus
from opportune.contrib.llm import MAX_ATTACHMENTS, MAX_MODEL_NAME_LENGTH
from opportune.db import MAX_ID
from opportune.fields import Line, Markdown, Text
from opportune.pagination import Paging, SortBy
from opportune.web import FieldOptions, Schema, Upload

MAX_QUESTION_LENGTH = 8_000
MAX_DOCUMENT_LENGTH = 50_000

Question = Annotated[Text, Field(min_length=1, max_length=MAX_QUESTION_LENGTH)]


class MessageCreate(Schema):
    content: Question
    client_key: Line | None = Field(default=None, max_length=64)
    """Makes a repeated request store one question."""


class FileCreate(Schema):
    filename: Annotated[Line, Field(min_length=1, max_length=100)]
    content: Base64Bytes


class QuestionCreate(MessageCreate):
    attachments: Annotated[list[FileCreate], Field(max_length=MAX_ATTACHMENTS)] = []


class ConversationSettings(Schema):
    """Settings of later answers."""

    assistant_id: Annotated[int | None, Field(ge=1, le=MAX_ID, title="Assistant")] = None
    """Id of an assistant, from `GET /api/v1/assistants`. Its instructions, model and tools apply."""
    model: Annotated[Line, Field(max_length=MAX_MODEL_NAME_LENGTH, title="Model")] = ""
    """A name of LLM_MODELS. Empty for the first."""
    compare_with: Annotated[Line, Field(max_length=MAX_MODEL_NAME_LENGTH, title="Compare with")] = ""
    """A name of LLM_MODELS that answers each question beside the model. Empty for one answer."""
    system_prompt: Annotated[Text, Field(max_length=MAX_QUESTION_LENGTH, title="System prompt")] = ""
    """Empty for the default system prompt."""
    temperature: Annotated[float | None, Field(ge=0, le=2, title="Temperature")] = None
    """From 0 (most likely words) to 2. Null for the default of the model."""


class ConversationPlace(Schema):
    """Place of a conversation in the list of its owner."""

    folder: Annotated[Line, Field(max_length=MAX_FOLDER_LENGTH, title="Folder")] = ""
    """Empty for none."""
    is_pinned: bool = False
    is_temporary: bool = False
    """Not listed, searched or titled, and deleted when it was not used for a day."""


class ConversationCreate(QuestionCreate, ConversationSettings, ConversationPlace): ...


class MessageForm(MessageCreate):
    attachments: list[Upload] = []
    last: int = Field(default=0, ge=0, le=MAX_ID)
    """Last message on the page. The response includes newer ones, for example from another tab."""


class DocumentCreate(Schema):
    block: int = Field(default=0, ge=0, le=MAX_ID)
    """Number of a code block of the answer. 0 for the whole answer."""


class DocumentForm(Schema):
    text: Annotated[Markdown, Field(max_length=MAX_DOCUMENT_LENGTH, title="Text")]
    instruction: Annotated[Line, Field(max_length=500, title="Ask the model to change it")] = ""
    version: int = Field(default=0, ge=0, le=MAX_ID)
    """Version from which the text was written."""
    is_question: bool = False
    """True to send the instruction to the model. The text is also saved."""


class ConversationForm(MessageForm, ConversationSettings, ConversationPlace): ...


class FolderForm(Schema):
    folder: Annotated[Line, Field(max_length=MAX_FOLDER_LENGTH, title="Folder")] = ""


class AttachmentRead(Schema):
    id: int
    filename: str
    content_type: str
    size_bytes: int


class MessageRead(AnswerFields):
    """A question, or an answer with its state."""

    parent_id: int | None
    """The message before it."""
    branches: Sequence[int] = ()
    """Ids of the messages with the same parent, oldest first."""
    role: Role
    attachment_ids: Sequence[int] = ()
    """Files of a question."""
    follow_ups: Sequence[str] = ()
    """Questions that the model suggests after an answer."""

    @classmethod
    def of(cls, message: Message, branches: Sequence[int] = ()) -> Self:
        state = message.answer or Answer(text=message.question, status=AnswerStatus.DONE)
        columns = message.model_dump(include={"id", "parent_id", "role", "attachment_ids", "follow_ups", "created_at"})
        return cls(**{**state.model_dump(include=set(AnswerFields.model_fields)), **columns, "branches": branches})


class ConversationRead(ConversationSettings, ConversationPlace):
    id: int
    title: str
    assistant_name: str
    created_at: datetime
    used_at: datetime
    """Time of the last question."""


class ConversationTitle(Schema):
    title: Line = Field(min_length=1, max_length=MAX_TITLE_LENGTH)


class ConversationUpdate(ConversationSettings, ConversationPlace):
    title: Line | None = Field(default=None, min_length=1, max_length=MAX_TITLE_LENGTH)


class ConversationExport(ConversationRead):
    leaf_id: int | None
    """Last message of the current branch. Follow `parent_id` to read the branch."""
    messages: list[MessageRead] = []

    @classmethod
    def of(cls, conversation: Conversation, messages: Sequence[Message]) -> Self:
        export = cls.model_validate(conversation)
        export.messages = [MessageRead.of(message) for message in messages]
        return export


class ShareRead(Schema):
    id: int
    conversation_id: int
    message_id: int
    """Last message of the shared branch."""
    title: str
    created_at: datetime
    path: str
    """Path of the public page."""


class ConversationWithMessages(ConversationRead):
    messages: list[MessageRead]
    attachments: list[AttachmentRead]
    """Files of these messages. The owner can read them at `/answers/attachments/{id}`."""
    beside: MessageRead | None
    """Answer of the second model to the last question. `show` selects the answer with which the branch continues."""
    earlier: int | None
    """Value of `before` for older messages. Null on the first page."""


class MessageCreated(Schema):
    conversation: int
    """Id of the conversation, at `/api/v1/conversations/{id}`."""
    message: MessageRead
    """The stored question."""
    answer: MessageRead
    stream_url: str
    """Path of the event stream of the answer."""
    beside: MessageRead | None = None
    """Answer of the second model, if the conversation compares two."""
    beside_stream_url: str | None = None


class ConversationFilter(Paging):
    q: Annotated[Line, FieldOptions(type="search")] = Field("", max_length=200, title="Search")
    folder: Line = Field("", max_length=MAX_FOLDER_LENGTH)
    size: int = Field(50, ge=1, le=100)
    sort: Annotated[str, SortBy("title", "created_at", "used_at")] = ""


class NewConversationFilter(ConversationFilter):
    """Query of the page for a new conversation."""

    assistant_id: int | None = Field(None, ge=1, le=MAX_ID)
    temporary: bool = False
    """Offer a temporary conversation."""


class ConversationPageFilter(ConversationFilter):
    """Query of a conversation's page, which also lists the conversations."""

    before: int | None = None
    """Used by `get_conversation_view`, like `at`."""
    at: int | None = None
    document: int = Field(0, ge=0, le=MAX_ID)
    """Document that is open beside the messages."""
    version: int = Field(0, ge=0, le=MAX_ID)
    """Version of the document. 0 for the current one."""
