"""Interface of models for pictures, speech, transcription and reranking, with their results."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from opportune.contrib.llm.media.models import MediaModel, MediaTask
from opportune.contrib.llm.providers.provider import Done, Picture

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
