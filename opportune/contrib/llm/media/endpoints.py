"""Models at endpoints with OpenAI's API for pictures and audio, and with the one of Jina, Cohere, vLLM or TEI."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from opportune.contrib.llm.media.provider import Made, MediaModel, MediaProvider, MediaTask, Ranked, Speech
from opportune.contrib.llm.providers.loose_json import json_in, objects_in
from opportune.contrib.llm.providers.openai_stream import counts_in
from opportune.contrib.llm.providers.provider import Done, LlmError, Picture, Timeouts
from opportune.contrib.llm.providers.remote import ModelEndpoint
from opportune.i18n import LazyText
from opportune.i18n import gettext_lazy as _l
from opportune.storage.images import ImageRefusedError, check_image

MAX_PICTURE_BYTES, MAX_SPEECH_BYTES, MAX_TEXT_BYTES = 50_000_000, 50_000_000, 5_000_000
"""Maximum sizes of responses."""
DEFAULT_VOICE = "alloy"
NO_PICTURE = _l("The model made no picture. Describe it in other words, or try again.")
NO_SPEECH = _l("The model could not read this text aloud. Try again.")
NO_TRANSCRIPT = _l("The model heard no words. Record it again.")
NO_RANKING = _l("The model did not order the results. Try again.")


class MediaEndpoints(MediaProvider):
    """One endpoint for each task."""

    def __init__(self, models: Mapping[MediaTask, MediaModel], timeouts: Timeouts) -> None:
        self.models = models
        # A picture takes minutes, and nothing arrives before it is complete.
        self._endpoints = {
            task: ModelEndpoint(f"{task}_model".upper(), model, timeouts, timeouts.whole)
            for task, model in models.items()
        }

    async def image(self, prompt: str, size: str) -> Made[Picture]:
        body = {"prompt": prompt, "n": 1, "response_format": "b64_json"} | self._body("image")
        if size:
            body["size"] = size
        content = await self._post("image", "/images/generations", MAX_PICTURE_BYTES, json=body)
        data = [*objects_in(_object(content).get("data"))]
        encoded = data[0].get("b64_json") or data[0].get("url") if data else None
        if not isinstance(encoded, str) or encoded.startswith("http"):  # a link would be a request to another host
            raise self._malformed("image", NO_PICTURE)
        try:
            picture = b64decode(encoded.rpartition(",")[2])
            return Made(Picture(picture, await check_image(picture)), _usage(content))
        except (ImageRefusedError, ValueError):
            raise self._malformed("image", NO_PICTURE) from None

    async def speech(self, text: str, voice: str) -> Made[Speech]:
        body = {"input": text, "voice": DEFAULT_VOICE, "response_format": "mp3"} | self._body("speech")
        if voice:
            body["voice"] = voice
        content_type, content = await self._endpoints["speech"].post("/audio/speech", MAX_SPEECH_BYTES, json=body)
        content_type = content_type.partition(";")[0].strip().lower()
        if not (content and content_type.startswith(("audio/", "application/octet-stream", "binary/"))):
            raise self._malformed("speech", NO_SPEECH)
        return Made(Speech(content, content_type if content_type.startswith("audio/") else "audio/mpeg"))

    async def transcribe(self, audio: bytes, filename: str, language: str) -> Made[str]:
        fields = {"response_format": "json"} | self._body("transcription")
        if language:
            fields["language"] = language
        file = f"audio{PurePath(filename).suffix.lower()}", audio
        path, form = "/audio/transcriptions", {"data": fields, "files": {"file": file}}
        content_type, body = await self._endpoints["transcription"].post(path, MAX_TEXT_BYTES, **form)
        is_json = not content_type.startswith("text/plain")
        content = _object(json_in(body)) if is_json else {"text": body.decode(errors="replace")}
        text = content.get("text")
        if not (isinstance(text, str) and text.strip()):
            raise self._malformed("transcription", NO_TRANSCRIPT) if text is None else LlmError("empty", NO_TRANSCRIPT)
        seconds = _number(_object(content.get("usage")).get("seconds", content.get("duration")))
        return Made(text.strip(), _usage(content), None if seconds is None else seconds / 60)

    async def rerank(self, query: str, documents: Sequence[str]) -> Made[list[Ranked]]:
        body = {"query": query, "documents": [*documents]} | self._body("rerank")
        content = await self._post("rerank", "/rerank", MAX_TEXT_BYTES, json=body)
        results = content  # the list of TEI, or an object
        if isinstance(content, dict):
            results = content.get("results", content.get("data"))
        ranking = [*map(_ranked, objects_in(results))]
        if not ranking or {item.index for item in ranking} - {*range(len(documents))}:
            raise self._malformed("rerank", NO_RANKING)
        return Made(ranking, _usage(content))

    async def close(self) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.close()

    def _malformed(self, task: MediaTask, sentence: LazyText) -> LlmError:
        advice = f"Check {task.upper()}_MODEL and its base_url."  # not translated
        return LlmError("malformed", sentence, advice=advice)

    def _body(self, task: MediaTask) -> dict[str, Any]:
        model = self.models[task]
        return {"model": model.model or model.name, **model.extra_body}

    async def _post(self, task: MediaTask, path: str, max_bytes: int, **content: Any) -> Any:
        return json_in((await self._endpoints[task].post(path, max_bytes, **content))[1])


def _ranked(result: dict[str, Any]) -> Ranked:
    index, score = result.get("index"), _number(result.get("relevance_score", result.get("score")))
    return Ranked(index, score) if isinstance(index, int) and score is not None else Ranked(-1, 0)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else None


def _usage(content: object) -> Done:
    return Done(**counts_in(_object(content).get("usage")))


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
