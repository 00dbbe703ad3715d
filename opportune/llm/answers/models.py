"""Answers of language models, and the chunks of those that are still being written."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field

from opportune.db.models.model import Model, ModelBase, utc_now
from opportune.db.models.partial_index import PartialIndex
from opportune.llm.answers.citations import with_sources
from opportune.llm.documents.attachment import MAX_OMITTED_LENGTH, Attachment
from opportune.llm.providers.provider import Message, Picture
from opportune.llm.spending.call_guard import Payer
from opportune.storage.images import CONTENT_TYPES
from opportune.text import Text

# During a deploy, processes of the version before insert rows without these columns.
EMPTY_BY_DEFAULT = {"server_default": text("''")}
ZERO_BY_DEFAULT = {"server_default": text("0")}


class AnswerStatus(StrEnum):
    """State of an answer: STREAMING, WAITING for a person's yes or no as often as need be, then one of the others."""

    STREAMING = "streaming"
    WAITING = "waiting"
    DONE = "done"
    TRUNCATED = "truncated"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class Rating(StrEnum):
    """What the person who asked says of an answer."""

    UP = "up"
    DOWN = "down"


MAX_RATING_NOTE_LENGTH = 500


class Answer(Model, table=True):
    """What a model answers to somebody: stored while it grows, and kept with how it ended."""

    __tablename__ = "answers_answer"
    __table_args__ = (
        Index("ix_answers_answer_owner_topic", "owner_id", "topic"),
        PartialIndex("ix_answers_answer_running", "worker", where="status = 'streaming'"),
        # One running answer for a person on a topic, whoever asks at the same moment.
        PartialIndex(
            "uq_answers_answer_running",
            "owner_id",
            "topic",
            where="status IN ('streaming', 'waiting') AND topic <> ''",
            unique=True,
        ),
    )

    owner_id: int | None = Field(default=None, foreign_key="accounts_user.id", ondelete="CASCADE")
    """Who asked, and may see it. None: only code shows it to anybody."""
    topic: str = Field(default="", max_length=500)
    """What it is about, as its feature calls that: `books:12`."""
    question: Text = ""
    """What people are shown as asked."""
    prompt: list[dict[str, Any]] = Field(default_factory=list)
    """What the model is sent, until the answer is whole: then nobody needs it again."""
    tool_scopes: Text = ""
    """The scopes, with spaces, of whoever asked, which the tools that the model may call need; empty for no tools."""
    temperature: float | None = None
    """0 for what is likeliest, up to 2; None for the model's own."""
    omitted: str = Field(default="", max_length=MAX_OMITTED_LENGTH)
    """What the model was not sent of what it was asked about, in words for the person."""
    tool_runs: list[dict[str, Any]] = Field(default_factory=list)
    """What it had called on its way, as `opportune.llm.answers.tool_runs` describes it."""
    sources: list[dict[str, Any]] = Field(default_factory=list)
    """What was read for it, `title` and `url` each: the first is what it cites as [1]."""
    text: Text = ""
    """The answer; while it is written, what it began with: the rest is in chunks."""
    reasoning: Text = Field(default="", sa_column_kwargs=EMPTY_BY_DEFAULT)
    """What the model thought, which is not part of the answer; while it is written, the rest is in chunks."""
    status: AnswerStatus = AnswerStatus.STREAMING
    model: str = Field(default="", max_length=200)
    error_code: str = Field(default="", max_length=40)
    error: str = Field(default="", max_length=500)
    """One sentence for the person who asked."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = Field(default=0, sa_column_kwargs=ZERO_BY_DEFAULT)
    """Those of `completion_tokens` that went into reasoning."""
    usage_estimated: bool = True
    cost_micro: int = Field(default=0, sa_type=BigInteger)
    """Millionths of the currency, by the prices of LLM_MODELS at that time."""
    charged_to: str = Field(default="", max_length=80)
    """Whose limits it counts for, where that is not its owner: an address of visitors."""
    created_at: datetime = Field(default_factory=utc_now)
    finished_at: datetime | None = None
    rating: Rating | None = None
    rating_note: str = Field(default="", max_length=MAX_RATING_NOTE_LENGTH)
    """Why, in the words of the person for the site's staff."""

    worker: str = Field(default="", max_length=32)
    """The process that writes it; empty when one that stops has handed it over to whoever takes it."""
    lease_until: datetime | None = None
    """When to take that process for dead, unless it has renewed this; while it waits, how long a person may answer."""
    stop_requested: bool = False
    takeovers: int = 0
    """How often another process has gone on with it."""

    @property
    def payer(self) -> Payer:
        """For whose limits it counts."""
        return Payer.parse(self.charged_to) if self.charged_to else Payer.of_user(self.owner_id)

    @property
    def markdown(self) -> str:
        """Its text with the sources that it cites below, to be kept elsewhere."""

        return with_sources(self.text, self.sources)

    @property
    def messages(self) -> list[Message]:
        """The prompt as a model is sent it."""
        return _messages().validate_python(self.prompt)

    def __str__(self) -> str:
        return f"{self.topic or 'answer'} {self.id}"

    @property
    def is_running(self) -> bool:
        """Whether it has not ended: it is written, or waits."""
        return self.status in (AnswerStatus.STREAMING, AnswerStatus.WAITING)

    @property
    def is_waiting(self) -> bool:
        """Whether it goes on when the person has said whether a tool may run."""
        return self.status == AnswerStatus.WAITING

    @property
    def can_go_on(self) -> bool:
        """Whether it broke off, so that it can be continued, or asked for once more."""
        return not (self.is_running or self.status == AnswerStatus.DONE) and bool(self.prompt)


class AnswerChunk(ModelBase, table=True):
    """A chunk of a running answer. Appended, so its cost does not grow with the answer; gone when that is done."""

    __tablename__ = "answers_chunk"

    answer_id: int = Field(foreign_key="answers_answer.id", ondelete="CASCADE", primary_key=True)
    seq: int = Field(primary_key=True)
    text: Text
    reasoning: Text = Field(default="", sa_column_kwargs=EMPTY_BY_DEFAULT)


class AnswerAttachment(Model, table=True):
    """A file that a person has shown to a model, for as long as its feature keeps it."""

    __tablename__ = "answers_attachment"

    owner_id: int | None = Field(default=None, foreign_key="accounts_user.id", ondelete="CASCADE", index=True)
    topic: str = Field(default="", max_length=500, index=True)
    """What it was shown for, as its feature calls that: `books:12`."""
    filename: str = Field(max_length=100)
    """As the person calls it, for showing and nothing else."""
    content_type: str = Field(max_length=100)
    """That of a picture, which was drawn anew; anything else is only ever for keeping."""
    size_bytes: int
    stored_as: str = Field(max_length=200)
    """Its name in the storage."""
    text: Text = ""
    """That of a document."""
    omitted: str = Field(default="", max_length=MAX_OMITTED_LENGTH)
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.filename

    @property
    def is_picture(self) -> bool:
        return self.content_type in CONTENT_TYPES

    @property
    def shown(self) -> Attachment:
        """What a model is shown of it."""
        if self.is_picture:
            return Attachment(self.filename, picture=Picture(b"", self.content_type, self.stored_as))
        return Attachment(self.filename, self.text, omitted=self.omitted)


def as_prompt(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Turns of a conversation as an answer keeps them."""
    return _messages().dump_python([*messages], mode="json", exclude_defaults=True)  # type: ignore[no-any-return]


@cache
def _messages() -> TypeAdapter[list[Message]]:
    return TypeAdapter(list[Message])
