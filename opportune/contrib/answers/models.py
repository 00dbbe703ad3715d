"""Tables of answers, chunks of running answers, and attachments."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from opportune.accounts.models import OwnerId
from opportune.contrib.answers.engine.citations import with_sources
from opportune.contrib.llm.attachments import MAX_OMITTED_LENGTH, Attachment
from opportune.contrib.llm.call_guard import Payer
from opportune.contrib.llm.providers.provider import Message, Picture
from opportune.db import Model, ModelBase, PartialIndex, utc_now
from opportune.schemas.text import Text
from opportune.storage.images import CONTENT_TYPES

# During a deploy, processes of the previous version insert rows without these columns.
EMPTY_BY_DEFAULT = {"server_default": text("''")}
ZERO_BY_DEFAULT = {"server_default": text("0")}
ALL_TOOLS = "*"
ALL_TOOLS_BY_DEFAULT = {"server_default": text("""'["*"]'""")}
MAX_ERROR_LENGTH = MAX_RATING_NOTE_LENGTH = MAX_TOPIC_LENGTH = 500
OF_VISITOR = ":visitor:"
"""Part of the topic of a visitor's answer, before the key of the browser."""
NEW_IDS = {"sqlite_autoincrement": True}
"""SQLite never uses the id of a deleted row again: its process may still write, and viewers and jobs know the id."""
WAITS_FOR_JOB = "job"
"""Worker of answers that wait for the result of a job."""


class AnswerStatus(StrEnum):
    """State of an answer.

    STREAMING and WAITING (for the user or a job) may alternate; the other states are final.
    """

    STREAMING = "streaming"
    WAITING = "waiting"
    DONE = "done"
    TRUNCATED = "truncated"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Rating(StrEnum):
    """Rating of an answer by its owner."""

    UP = "up"
    DOWN = "down"


class Answer(Model, table=True):
    """An answer of a language model, stored while it grows.

    Attributes:
        owner_id: User who asked and may see it. None for visitors, and for answers that your code shows to all.
        topic: Subject in the words of its feature, such as `books:12`. A visitor's ends in a key of the browser.
        question: Question shown above the answer.
        prompt: Messages sent to the model; empty when the answer is complete.
        tool_scopes: Scopes (separated by spaces) for the tools that the model may call; empty for no tools.
        tool_names: Names of the tools that the model may call; `*` for all.
        temperature: 0 for the most likely answer, up to 2; None for the model's default.
        limits: Limits of steps, seconds and cost that differ from the settings.
        omitted: Note for the user about content that was not sent to the model.
        tool_runs: Tool calls, described in `opportune.contrib.answers.engine.tool_runs`.
        sources: Sources with `title` and `url`. The first is cited as [1].
        text: The answer. While it grows, newer text is in chunks.
        reasoning: Reasoning of the model. While it grows, newer text is in chunks.
        error: One sentence for the user.
        reasoning_tokens: Part of `completion_tokens` used for reasoning.
        cost_micro: Millionths of the currency, by the prices of LLM_MODELS at that time.
        seconds: Seconds of work, without the time in which it waits.
        charged_to: Payer other than the owner: the hashed address of a visitor.
        rating_note: Reason for the rating, for the staff.
        worker: Process that writes the answer; empty if any process may continue it.
        lease_until: Time until which the process is considered alive. While waiting, deadline of the approval.
        takeovers: Number of times that another process has continued it.
    """

    __tablename__ = "answers_answer"
    __table_args__ = (
        Index("ix_answers_answer_owner_topic", "owner_id", "topic"),
        PartialIndex("ix_answers_answer_running", "worker", where="status = 'streaming'"),
        # At most one running answer per user and topic, also with concurrent requests.
        PartialIndex(
            "uq_answers_answer_running",
            "owner_id",
            "topic",
            where="status IN ('streaming', 'waiting') AND topic <> ''",
            unique=True,
        ),
        NEW_IDS,
    )

    owner_id: OwnerId | None = Field(default=None, index=False)
    topic: str = Field(default="", max_length=MAX_TOPIC_LENGTH)
    question: Text = ""
    prompt: list[dict[str, Any]] = Field(default_factory=list)
    tool_scopes: Text = ""
    tool_names: list[str] = Field(default_factory=lambda: [ALL_TOOLS], sa_column_kwargs=ALL_TOOLS_BY_DEFAULT)
    temperature: float | None = None
    limits: dict[str, Any] = Field(default_factory=dict, sa_column_kwargs={"server_default": text("'{}'")})
    omitted: str = Field(default="", max_length=MAX_OMITTED_LENGTH)
    tool_runs: list[dict[str, Any]] = Field(default_factory=list)
    sources: list[dict[str, Any]] = Field(default_factory=list)
    text: Text = ""
    reasoning: Text = Field(default="", sa_column_kwargs=EMPTY_BY_DEFAULT)
    status: AnswerStatus = AnswerStatus.STREAMING
    model: str = Field(default="", max_length=200)
    error_code: str = Field(default="", max_length=40)
    error: str = Field(default="", max_length=MAX_ERROR_LENGTH)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = Field(default=0, sa_column_kwargs=ZERO_BY_DEFAULT)
    usage_estimated: bool = True
    cost_micro: int = Field(default=0, sa_type=BigInteger)
    seconds: float = Field(default=0, sa_column_kwargs=ZERO_BY_DEFAULT)
    charged_to: str = Field(default="", max_length=80)
    created_at: datetime = Field(default_factory=utc_now)
    finished_at: datetime | None = None
    rating: Rating | None = None
    rating_note: str = Field(default="", max_length=MAX_RATING_NOTE_LENGTH)

    worker: str = Field(default="", max_length=32)
    lease_until: datetime | None = None
    stop_requested: bool = False
    takeovers: int = 0

    @property
    def payer(self) -> Payer:
        """User or visitor that the answer is charged to."""
        return Payer.parse(self.charged_to) if self.charged_to else Payer.of_user(self.owner_id)

    @property
    def markdown(self) -> str:
        """Text followed by the cited sources."""
        return with_sources(self.text, self.sources)

    @property
    def messages(self) -> list[Message]:
        """The prompt as messages."""
        return _message_adapter().validate_python(self.prompt)

    def __str__(self) -> str:
        return f"{self.topic or 'answer'} {self.id}"

    @property
    def is_running(self) -> bool:
        """True until the answer has ended, also while it waits for an approval."""
        return self.status in (AnswerStatus.STREAMING, AnswerStatus.WAITING)

    @property
    def is_private(self) -> bool:
        """True for an answer of a user or a visitor, who may stop it. False if your code shows it to all."""
        return bool(self.owner_id or OF_VISITOR in self.topic)

    @property
    def is_waiting(self) -> bool:
        """True while the answer waits for the user or a job."""
        return self.status == AnswerStatus.WAITING

    @property
    def waits_for_user(self) -> bool:
        return self.is_waiting and self.worker != WAITS_FOR_JOB

    @property
    def can_continue(self) -> bool:
        """True for an incomplete answer, which can be continued or retried."""
        return not (self.is_running or self.status == AnswerStatus.DONE) and bool(self.prompt)


class AnswerChunk(ModelBase, table=True):
    """A chunk of a running answer, deleted at its end. Appending costs the same for answers of any length."""

    __tablename__ = "answers_chunk"

    answer_id: int = Field(foreign_key="answers_answer.id", ondelete="CASCADE", primary_key=True)
    seq: int = Field(primary_key=True)
    text: Text
    reasoning: Text = Field(default="", sa_column_kwargs=EMPTY_BY_DEFAULT)


class AnswerAttachment(Model, table=True):
    """A file that a user has attached to a question, until its feature deletes it.

    Attributes:
        topic: Subject in the words of its feature, such as `books:12`.
        filename: Name for display.
        content_type: Media type of a re-encoded picture; other files are only downloaded.
        stored_as: Name in the storage.
        text: Text of a document.
        omitted: Note about parts that were not read.
    """

    __tablename__ = "answers_attachment"
    __table_args__ = NEW_IDS

    owner_id: OwnerId | None = None
    topic: str = Field(default="", max_length=MAX_TOPIC_LENGTH, index=True)
    filename: str = Field(max_length=100)
    content_type: str = Field(max_length=100)
    size_bytes: int
    stored_as: str = Field(max_length=200)
    text: Text = ""
    omitted: str = Field(default="", max_length=MAX_OMITTED_LENGTH)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.filename

    @property
    def is_picture(self) -> bool:
        return self.content_type in CONTENT_TYPES

    @property
    def shown(self) -> Attachment:
        """Attachment for the model."""
        if self.is_picture:
            return Attachment(self.filename, picture=Picture(b"", self.content_type, self.stored_as))
        return Attachment(self.filename, self.text, omitted=self.omitted)


def as_prompt(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Serialize messages for `Answer.prompt`."""
    return _message_adapter().dump_python([*messages], mode="json", exclude_defaults=True)  # type: ignore[no-any-return]


@cache
def _message_adapter() -> TypeAdapter[list[Message]]:
    return TypeAdapter(list[Message])
