"""Models for tests that make pictures, speech, transcripts and rankings with prepared results."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import get_args

from opportune.contrib.llm.media.provider import Made, MediaModel, MediaProvider, MediaTask, Ranked, Speech
from opportune.contrib.llm.providers.provider import LlmError, Picture

PIXEL = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")


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
        self.models: Mapping[MediaTask, MediaModel] = {
            task: MediaModel(name=f"Scripted {task}") for task in get_args(MediaTask)
        }
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
