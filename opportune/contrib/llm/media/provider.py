"""Models for pictures, speech, transcription and reranking: settings, interface, and scripted ones for tests."""

from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field, PrivateAttr

from opportune.config.llm_models import MICRO_PER_UNIT, LlmModel
from opportune.contrib.llm.providers.provider import Done, LlmError, Picture

MediaTask = Literal["image", "speech", "transcription", "rerank"]


class MediaModel(LlmModel):
    """A model for one of the tasks, at an endpoint with OpenAI's API."""

    price: Decimal = Field(default=Decimal(0), ge=0)
    """Price of a picture, a minute of audio to transcribe, 1,000 characters to speak, or a call of a reranker."""
    max_chars: int = Field(default=4_096, ge=1)
    """Maximum characters of the description of a picture, or of a text to speak."""
    _units: float = PrivateAttr(default=0)

    def for_units(self, units: float) -> Self:
        """Return the model for a call of so many pictures, minutes or thousands of characters."""
        model = self.model_copy()
        model._units = units
        return model

    def cost_micro(self, prompt_tokens: int, answer_tokens: int, cached_tokens: int = 0) -> int:
        units = ceil(self.price * Decimal(self._units) * MICRO_PER_UNIT)
        return units + super().cost_micro(prompt_tokens, answer_tokens, cached_tokens)

    @property
    def has_price(self) -> bool:
        return bool(self.price) or super().has_price


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Speech:
    """A text that was read aloud."""

    content: bytes = field(repr=False)
    content_type: str = "audio/mpeg"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document with its relevance for the query. Scores of different models cannot be compared."""

    index: int
    """Position among the documents of the call."""
    score: float


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """Result of a call.

    Attributes:
        value: The result.
        usage: Token counts, if the endpoint reports them.
        minutes: Length of the audio, if the endpoint reports it.
    """

    value: T
    usage: Done = field(default_factory=Done)
    minutes: float | None = None


class MediaProvider(ABC):
    """The models of a site. Tests use `FakeMedia`.

    Attributes:
        models: Model of each task that the site can do.
    """

    models: Mapping[MediaTask, MediaModel]

    @abstractmethod
    async def image(self, prompt: str, size: str) -> Made[Picture]:
        """Make a picture. An empty size is the model's default."""

    @abstractmethod
    async def speech(self, text: str, voice: str) -> Made[Speech]:
        """Read a text aloud. An empty voice is the model's default."""

    @abstractmethod
    async def transcribe(self, audio: bytes, filename: str, language: str) -> Made[str]:
        """Return the words of a recording. An empty language is recognized."""

    @abstractmethod
    async def rerank(self, query: str, documents: Sequence[str]) -> Made[list[Ranked]]:
        """Return the relevance of each document."""

    async def close(self) -> None:
        """Close connections."""


PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
TASKS: tuple[MediaTask, ...] = ("image", "speech", "transcription", "rerank")


class FakeMedia(MediaProvider):
    """Models that do every task with prepared results.

    Example:
        app.state.llm.media.provider = FakeMedia(transcript="Good morning.")

    Attributes:
        received: Text, recording or query of each call.
        error: Raised by each call instead.
    """

    def __init__(
        self,
        picture: bytes = PIXEL,
        speech: bytes = b"ID3",
        transcript: str = "A scripted transcript",
        scores: Sequence[float] = (),
        *,
        error: LlmError | None = None,
    ) -> None:
        """`scores`: relevance of the documents; by default they are in order."""
        self.models: Mapping[MediaTask, MediaModel] = {task: MediaModel(name=f"Scripted {task}") for task in TASKS}
        self.picture = picture
        self.spoken = speech
        self.transcript = transcript
        self.scores = scores
        self.received: list[str | bytes] = []
        self.error = error

    def _receive(self, value: str | bytes) -> None:
        self.received.append(value)
        if self.error:
            raise self.error

    async def image(self, prompt: str, size: str) -> Made[Picture]:
        self._receive(prompt)
        return Made(Picture(self.picture, "image/png"))

    async def speech(self, text: str, voice: str) -> Made[Speech]:
        self._receive(text)
        return Made(Speech(self.spoken))

    async def transcribe(self, audio: bytes, filename: str, language: str) -> Made[str]:
        self._receive(audio)
        return Made(self.transcript)

    async def rerank(self, query: str, documents: Sequence[str]) -> Made[list[Ranked]]:
        self._receive(query)
        scores = self.scores or [1 / number for number in range(1, len(documents) + 1)]
        return Made([Ranked(index, score) for index, score in enumerate(scores)])
