"""Calls of models for pictures, speech, transcription and reranking."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import PurePath
from typing import TypeVar

from opportune.config.llm_models import MAX_EMBEDDED_CHARS
from opportune.contrib.llm.completion.calls import ModelCalls, metered, run_to_end
from opportune.contrib.llm.completion.usage import CallMeter
from opportune.contrib.llm.media.provider import Made, MediaModel, MediaProvider, MediaTask, Ranked, Speech
from opportune.contrib.llm.providers.provider import Chunks, LlmError, Message, Picture
from opportune.i18n import LazyText, gettext
from opportune.i18n import gettext_lazy as _l
from opportune.i18n.formats import format_number

MAX_AUDIO_BYTES = 25_000_000
MAX_DOCUMENTS = 1_000
PLAUSIBLE_RATIO = 10
"""Maximum ratio of the length that an endpoint reports to the estimate."""
BYTES_PER_MINUTE = {"": 240_000, ".mp3": 960_000, ".wav": 1_920_000, ".flac": 1_920_000}
"""By suffix: typical sizes of speech, to estimate the length of a recording. "" are compressed formats of browsers."""
AUDIO_SUFFIXES = frozenset(
    {".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".oga", ".ogg", ".opus", ".wav", ".webm"}
)
NOT_CONFIGURED: dict[MediaTask, LazyText] = {
    "image": _l("No model for pictures is set up."),
    "speech": _l("No model that reads texts aloud is set up."),
    "transcription": _l("No model that writes down recordings is set up."),
    "rerank": _l("No model that orders search results is set up."),
}
NO_TEXT = _l("There is no text.")
NOT_AUDIO = _l("This file is not a recording that we can read. Send an MP3, M4A, WAV, OGG, FLAC or WebM file.")
TOO_LARGE = _l("This recording is larger than 25 MB. Send a shorter one.")
TOO_MANY_DOCUMENTS = _l("These are too many results to order.")

T = TypeVar("T")


class Media:
    """The provider of all tasks, shared by the models of a site. Tests assign a `FakeMedia` to `provider`."""

    provider: MediaProvider | None = None

    def model(self, task: MediaTask) -> MediaModel | None:
        return self.provider.models.get(task) if self.provider else None


class MediaCalls(ModelCalls):
    """Methods for pictures, speech, transcription and reranking.

    All of them raise an LlmError if the site has no model for the task, or the call fails.
    """

    media: Media

    def offers(self, task: MediaTask) -> bool:
        """Return whether the site has a model for the task."""
        return self.media.model(task) is not None

    async def image(self, prompt: str, *, size: str = "") -> Picture:
        """Make a picture.

        Args:
            prompt: Description of the picture.
            size: Size in pixels, such as "1024x1024". Empty for the model's default.
        """
        self._require_text("image", prompt)
        return await self._make("image", prompt, 1, lambda provider: provider.image(prompt, size))

    async def speech(self, text: str, *, voice: str = "") -> Speech:
        """Read a text aloud.

        Args:
            text: A text without markup.
            voice: Name of the endpoint for a voice. Empty for the one in SPEECH_MODEL.
        """
        self._require_text("speech", text)
        return await self._make("speech", text, len(text) / 1_000, lambda provider: provider.speech(text, voice))

    async def transcribe(self, audio: bytes, filename: str, *, language: str = "") -> str:
        """Return the words of a recording.

        Args:
            audio: Content of the file.
            filename: Its suffix names the format, such as "recording.webm".
            language: Code such as "de". Empty to let the model recognize it.
        """
        suffix = PurePath(filename).suffix.lower()
        if not audio or suffix not in AUDIO_SUFFIXES:
            raise LlmError("rejected", NOT_AUDIO)
        if len(audio) > MAX_AUDIO_BYTES:
            raise LlmError("rejected", TOO_LARGE)
        minutes = len(audio) / BYTES_PER_MINUTE.get(suffix, BYTES_PER_MINUTE[""])
        return await self._make(
            "transcription", "", minutes, lambda provider: provider.transcribe(audio, filename, language)
        )

    async def rerank(self, query: str, documents: Sequence[str], *, limit: int | None = None) -> list[Ranked]:
        """Return the documents that are relevant for a query, the best first.

        Args:
            query: A question.
            documents: At most 1,000 texts. Their first 4,000 characters are compared.
            limit: Maximum number of results.
        """
        if not documents:
            return []
        if len(documents) > MAX_DOCUMENTS:
            raise LlmError("rejected", TOO_MANY_DOCUMENTS)
        texts = [document[:MAX_EMBEDDED_CHARS] for document in documents]
        text = "\n".join((query, *texts))
        ranking = await self._make("rerank", text, 1, lambda provider: provider.rerank(query, texts))
        return sorted(ranking, key=lambda ranked: -ranked.score)[:limit]

    def _require_text(self, task: MediaTask, text: str) -> None:
        model = self.media.model(task)
        if not text.strip():
            raise LlmError("rejected", NO_TEXT)
        if model and len(text) > model.max_chars:
            number = format_number(model.max_chars)
            note = gettext("This text is too long. Send at most %(number)s characters.", number=number)
            raise LlmError("rejected", note)

    async def _make(
        self, task: MediaTask, text: str, units: float, make: Callable[[MediaProvider], Awaitable[Made[T]]]
    ) -> T:
        provider = self.media.provider
        model = self.media.model(task)
        if provider is None or model is None:
            advice = f"Set {task.upper()}_MODEL."  # not translated
            raise LlmError("not_configured", NOT_CONFIGURED[task], advice=advice)
        meter = CallMeter(model.name, model.for_units(units), [Message("user", text)])
        results = list[Made[T]]()

        async def call() -> Chunks:
            made = await make(provider)
            results.append(made)
            if made.minutes is not None and 0 <= made.minutes <= PLAUSIBLE_RATIO * units:
                meter.model = model.for_units(made.minutes)
            if isinstance(made.value, str):
                meter.count(made.value)
            yield made.usage

        await run_to_end(self._run_call(meter, lambda: metered(meter, call())))
        return results[-1].value
