"""Models for pictures, speech, transcription and reranking: their settings, interface and results."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field

from opportune.config.llm_models import MICRO_PER_UNIT, LlmModel
from opportune.contrib.llm.providers.provider import Done, Picture

MediaTask = Literal["image", "speech", "transcription", "rerank"]


class MediaModel(LlmModel):
    """A model for one of the tasks, at an endpoint with OpenAI's API."""

    price: Decimal = Field(default=Decimal(0), ge=0)
    """Price of a picture, a minute of audio to transcribe, 1,000 characters to speak, or a call of a reranker."""
    max_chars: int = Field(default=4_096, ge=1)
    """Maximum characters of the description of a picture, or of a text to speak."""

    def for_units(self, units: float) -> Self:
        """Return a copy whose `price` is that of a call of so many pictures, minutes or thousands of characters."""
        return self.model_copy(update={"price": self.price * Decimal(units)})

    def cost_micro(self, prompt_tokens: int, answer_tokens: int, cached_tokens: int = 0) -> int:
        """Return the cost of a call. `price` is added to that of the tokens."""
        return ceil(self.price * MICRO_PER_UNIT) + super().cost_micro(prompt_tokens, answer_tokens, cached_tokens)

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
