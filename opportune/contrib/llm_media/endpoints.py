"""Pictures and audio by OpenAI's API, and rankings by endpoints as those of Jina, Cohere, vLLM and TEI."""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, get_args

from pydantic import SecretStr

from opportune.config.host_names import is_http_url
from opportune.config.settings import Settings
from opportune.contrib.llm import Done, LlmError, Made, MediaModel, MediaProvider, Picture, Ranked, Speech, Timeouts
from opportune.contrib.llm.media.provider import MediaTask
from opportune.contrib.llm.providers.error_reader import filter_error
from opportune.contrib.llm.providers.factory import add_url_and_key
from opportune.contrib.llm.providers.loose_json import bytes_in, count_in, json_in, object_in, plain_key, text_in
from opportune.contrib.llm.providers.token_counts import counts_in
from opportune.contrib.llm.whole_responses import ModelEndpoint, content_of, results_in
from opportune.contrib.llm_media.settings import MediaSettings
from opportune.errors import OperatorError
from opportune.i18n import gettext_lazy as _l
from opportune.storage.images import ImageRefusedError, check_image

MAX_PICTURE_BYTES = 50_000_000
MAX_SPEECH_BYTES = 50_000_000
MAX_TEXT_BYTES = 5_000_000
SOUND_TYPES = ("audio/", "video/", "application/ogg")
UNTYPED = ("", "binary/octet-stream", "application/octet-stream")
SUBTITLE_TYPES = ("text/plain", "text/vtt", "text/srt", "application/x-subrip")
CUE = re.compile(r"^WEBVTT.*\n|(?m:^(?:\d+\r?\n)?[\d:.,]+ --> .*\n)")
"""Lines of subtitles without words."""
HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2})+")
DEFAULT_VOICE = "alloy"
# Fields with results, of various endpoints
IMAGE_FIELDS = (
    *("b64json", "b64image", "base64", "imagebase64", "bytesbase64encoded", "imagebytes", "generatedimages"),
    *("image", "url", "imageurl", "images"),
)
AUDIO_FIELDS = ("audio", "audiocontent", "audiobase64", "delta")
TRANSCRIPT_FIELDS = (
    *("text", "delta", "transcript", "transcription", "displaytext"),
    *("alternatives", "segments", "chunks", "combinedphrases"),
)
RANKING_FIELDS = ("scores", "rankings", "records")
INDEX_FIELDS = ("index", "id", "corpusid")
SCORE_FIELDS = ("relevancescore", "score", "logit", "similarity")
NO_PICTURE = _l("The model made no picture. Describe it in other words, or try again.")
NO_SPEECH = _l("The model could not read this text aloud. Try again.")
NO_TRANSCRIPT = _l("The model heard no words. Record it again.")
NO_RANKING = _l("The model did not order the results. Try again.")


class MediaEndpoints(MediaProvider):
    """One endpoint for each task."""

    def __init__(self, settings: Settings, _model: None = None) -> None:
        self.models = media_models_of(settings)
        timeouts = Timeouts.of(settings)
        # A picture takes minutes, and nothing arrives before it is complete.
        self._endpoints = {
            task: ModelEndpoint(f"{task}_model".upper(), model, timeouts, timeouts.whole)
            for task, model in self.models.items()
        }

    async def image(self, prompt: str, size: str) -> Made[Picture]:
        body = {"prompt": prompt, "n": 1, "response_format": "b64_json"} | self._body("image")
        if size:
            body["size"] = size
        _, response = await self._endpoints["image"].post("/images/generations", MAX_PICTURE_BYTES, json=body)
        content = content_of(response)
        if withheld := filter_error(content):  # some endpoints send a blurred picture
            raise withheld
        try:
            picture = response if content is None else await self._first_picture(results_in(content, IMAGE_FIELDS))
            return Made(Picture(picture, await check_image(picture)), _usage(content))
        except (ImageRefusedError, ValueError):
            raise self._endpoints["image"].failure(content, NO_PICTURE) from None

    async def _first_picture(self, results: Sequence[object]) -> bytes:
        text = next((result for result in results if isinstance(result, str)), "")
        is_link = is_http_url(text)
        return await self._endpoints["image"].fetch(text, MAX_PICTURE_BYTES) if is_link else _decode([text])

    async def speech(self, text: str, voice: str) -> Made[Speech]:
        body = {"input": text, "voice": DEFAULT_VOICE, "response_format": "mp3"} | self._body("speech")
        if voice:
            body["voice"] = voice
        content_type, content = await self._endpoints["speech"].post("/audio/speech", MAX_SPEECH_BYTES, json=body)
        content_type = content_type.partition(";")[0].strip().lower()
        value = content_of(content)
        try:
            sound = content if value is None else _decode(results_in(value, AUDIO_FIELDS))
        except ValueError:
            sound = b""
        is_sound = content_type.startswith(SOUND_TYPES) or (content_type in UNTYPED and not content.isascii())
        if not sound or (value is None and not is_sound):
            raise self._endpoints["speech"].failure(value, NO_SPEECH)
        return Made(Speech(sound, content_type if content_type.startswith("audio/") else "audio/mpeg"))

    async def transcribe(self, audio: bytes, filename: str, language: str) -> Made[str]:
        options = {"response_format": "json"} | self._body("transcription")
        if language:
            options["language"] = language
        path = "/audio/transcriptions"
        form = {"data": options, "files": {"file": (f"audio{PurePath(filename).suffix.lower()}", audio)}}
        content_type, body = await self._endpoints["transcription"].post(path, MAX_TEXT_BYTES, **form)
        content = content_of(body)
        if content is None and content_type.startswith(SUBTITLE_TYPES):
            content = {"text": CUE.sub("", body.decode(errors="replace"))}
        text = text_in(results_in(content, TRANSCRIPT_FIELDS)).strip()
        if not text:
            if isinstance(object_in(content).get("text"), str):
                raise LlmError("empty", NO_TRANSCRIPT)
            raise self._endpoints["transcription"].failure(content, NO_TRANSCRIPT)
        fields = object_in(content)
        seconds = _number(object_in(fields.get("usage")).get("seconds", fields.get("duration")))
        return Made(text, _usage(content), None if seconds is None else seconds / 60)

    async def rerank(self, query: str, documents: Sequence[str]) -> Made[list[Ranked]]:
        body = {"query": query, "documents": [*documents]} | self._body("rerank")
        content = content_of((await self._endpoints["rerank"].post("/rerank", MAX_TEXT_BYTES, json=body))[1])
        results = results_in(content, RANKING_FIELDS)
        if results and isinstance(results[0], list):  # only the scores, in the order of the documents
            results = [{"index": index, "score": score} for index, score in enumerate(results[0])]
        ranked = [_ranked(result) for result in results]
        ranking = {item.index: item for item in ranked if item is not None}
        if not ranking or None in ranked or ranking.keys() - {*range(len(documents))}:
            raise self._endpoints["rerank"].failure(content, NO_RANKING)
        return Made([*ranking.values()], _usage(content))

    async def close(self) -> None:
        for endpoint in self._endpoints.values():
            await endpoint.close()

    def _body(self, task: MediaTask) -> dict[str, Any]:
        model = self.models[task]
        return {"model": model.endpoint_name, **model.extra_body}


def media_models_of(settings: Settings) -> dict[MediaTask, MediaModel]:
    """Return the models for pictures, speech, transcription and reranking that are set.

    Raises:
        OperatorError: A model lacks its URL or its key.
    """
    named = ((task, getattr(settings.of(MediaSettings), f"{task}_model")) for task in get_args(MediaTask))
    return {task: _with_endpoint(settings, task, model) for task, model in named if model}


def _with_endpoint(settings: Settings, task: MediaTask, model: MediaModel) -> MediaModel:
    setting = f"{task.upper()}_MODEL"
    key = model.api_key_setting
    if key and not isinstance(getattr(settings, key, None), SecretStr):
        raise OperatorError(f"{setting}: there is no setting {key} with the key of {model.name}.")
    is_compatible = settings.llm_dialect == "openai" or bool(model.base_url)
    model = add_url_and_key(model, settings)
    if not (is_compatible and model.base_url and model.dialect == "openai" and not model.provider):
        raise OperatorError(f"{setting}: {model.name} needs the base_url of an endpoint with OpenAI's API.")
    return model


def _decode(parts: Sequence[object]) -> bytes:
    """Return the bytes in texts with Base64 or hexadecimal digits; none in links."""
    texts = [text_in(part) for part in parts if isinstance(part, str | list)]
    if all(HEXADECIMAL.fullmatch(text) for text in texts):
        return bytes.fromhex("".join(texts))
    return b"".join(bytes_in(text) for text in texts if not text.startswith("http"))


def _ranked(result: object) -> Ranked | None:
    """Return the index and the score in a result; None if one of them is missing."""
    fields = {plain_key(name): value for name, value in object_in(result).items()}
    indexes = (count_in(fields.get(name)) for name in INDEX_FIELDS)
    index = next((index for index in indexes if index is not None), None)
    scores = (_number(fields.get(name)) for name in SCORE_FIELDS)
    score = next((score for score in scores if score is not None), None)
    return None if index is None or score is None else Ranked(index, score)


def _number(value: object) -> float | None:
    value = json_in(value) if isinstance(value, str) else value
    return float(value) if isinstance(value, int | float) and abs(value) < 1e12 else None


def _usage(content: object) -> Done:
    return Done(**counts_in(object_in(content).get("usage")))
