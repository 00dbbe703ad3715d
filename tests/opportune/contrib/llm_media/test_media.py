"""Pictures, speech, transcription and reranking, at an endpoint on this machine."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from opportune.config.settings import Settings
from opportune.contrib.answers.monitoring import check_spending
from opportune.contrib.answers.settings import AnswersSettings
from opportune.contrib.answers.spending.guard import SpendingGuard
from opportune.contrib.llm import EmbeddingModel, LanguageModel, LlmError, MediaModel
from opportune.contrib.llm.call_guard import Payer, SpendingRefused
from opportune.contrib.llm.completion.usage import TokenUsage
from opportune.contrib.llm.feature import check_llm
from opportune.contrib.llm.media.fake import PIXEL
from opportune.contrib.llm_media.settings import MediaSettings
from opportune.db import Database
from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.llm.metering_guard import MeteringGuard
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, json_response, response, serve_endpoint
from tests.opportune.contrib.llm.providers.event_stream import DONE, event

PICTURE_TEXT = b64encode(PIXEL).decode()
PICTURE = {"data": [{"b64_json": PICTURE_TEXT}]}
EVENT_STREAM = "Content-Type: text/event-stream"
EVERY_MODEL = dict.fromkeys(("image_model", "speech_model", "transcription_model", "rerank_model"), "model")
ARGUMENTS: dict[str, list[Any]] = {
    "image": ["A cat"],
    "speech": ["Good morning"],
    "transcribe": [b"sound", "a.wav"],
    "rerank": ["bread", ["loaf"]],
}
OUT_OF_MONEY = {"data": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
RESULTS = [{"index": 0, "relevance_score": 0.2}, {"index": 2, "relevance_score": 0.9}]


def audio_response(content: bytes, content_type: str = "audio/mpeg") -> bytes:
    return response("200 OK", content, f"Content-Type: {content_type}")


def settings_with(values: dict[str, Any], **changes: Any) -> Settings:
    settings = settings_for("sqlite://").model_copy(update={"llm_api_key": SecretStr("the-key"), **changes})
    return settings.having(MediaSettings(**values))


@asynccontextmanager
async def serve_media(
    *steps: bytes, guard: Any = None, **models: Any
) -> AsyncIterator[tuple[LanguageModel, FakeEndpoint]]:
    async with serve_endpoint(*steps) as endpoint:
        llm = LanguageModel.of(settings_with(models, llm_base_url=endpoint.address, llm_model="big"), guard)
        yield llm, endpoint
        await llm.close()


@pytest.mark.parametrize(
    "content",
    [
        json_response(PICTURE),
        json_response({"result": {"image": PICTURE_TEXT.rstrip("=")}}),
        response("200 OK", PIXEL, "Content-Type: image/png"),
        response("200 OK", event({"b64_json": "AAAA"}) + event({"type": "completed", **PICTURE}), EVENT_STREAM),
    ],
)
async def test_image_is_made(content: bytes) -> None:
    async with serve_media(content, image_model="painter") as (llm, endpoint):
        picture = await llm.image("A cat", size="256x256")
    assert (picture.content, picture.content_type) == (PIXEL, "image/png")
    request = {"model": "painter", "prompt": "A cat", "n": 1, "size": "256x256", "response_format": "b64_json"}
    assert endpoint.bodies == [request]
    assert all(part in endpoint.headers[0] for part in (b"POST /v1/images/generations", b"Bearer the-key"))


async def test_link_at_the_endpoint_is_followed_without_key() -> None:
    async with serve_media(response("200 OK", PIXEL), image_model="painter") as (llm, endpoint):
        link = json_response({"data": [{"url": f"{endpoint.address}/cat.png"}]})
        endpoint.refuse = lambda body: link if "prompt" in body else None
        assert (await llm.image("A cat")).content == PIXEL
    assert b"the-key" not in endpoint.headers[1]


async def test_speech_is_read_aloud() -> None:
    model = {"name": "reader", "extra_body": {"voice": "nova", "speed": 1.5}}
    async with serve_media(audio_response(b"ID3sound"), speech_model=model) as (llm, endpoint):
        speech = await llm.speech("Good morning")
        await llm.speech("Good evening", voice="echo")
    assert (speech.content, speech.content_type) == (b"ID3sound", "audio/mpeg")
    assert [(body["voice"], body["speed"]) for body in endpoint.bodies] == [("nova", 1.5), ("echo", 1.5)]


@pytest.mark.parametrize(
    "content",
    [
        json_response({"data": {"audio": b"sound".hex()}}),
        json_response({"choices": [{"message": {"audio": {"data": "c291bmQ="}}}]}),
        response("200 OK", event({"audio": "c291"}) + event({"audio": "bmQ"}) + event({"type": "done"}), EVENT_STREAM),
    ],
)
async def test_speech_may_be_text(content: bytes) -> None:
    async with serve_media(content, speech_model="reader") as (llm, _):
        assert (await llm.speech("Good morning")).content == b"sound"


TRANSCRIPTS = [
    response("200 OK", b" Hello.\n", "Content-Type: text/plain; charset=utf-8"),
    json_response({"text": " Hello. ", "segments": [{"text": "Hel"}]}),
    json_response({"segments": [{"text": "Hel"}, {"text": "lo."}]}),
    json_response({"results": {"channels": [{"alternatives": [{"transcript": "Hello."}]}]}}),
    response("200 OK", event({"delta": "Hel"}) + event({"delta": "lo."}) + DONE, EVENT_STREAM),
    response("200 OK", b"WEBVTT\r\n\r\n1\r\n00:00.000 --> 00:01.000\r\nHello.\r\n", "Content-Type: text/vtt"),
]


@pytest.mark.parametrize("transcript", TRANSCRIPTS)
async def test_recording_is_transcribed(transcript: bytes) -> None:
    async with serve_media(transcript, transcription_model="ear") as (llm, endpoint):
        assert await llm.transcribe(b"sound", "../My voice.WEBM", language="en") == "Hello."
    upload = endpoint.bodies[0]["upload"]
    assert b'filename="audio.webm"' in upload
    assert all(part in upload for part in (b"sound", b"ear", b'name="language"'))


@pytest.mark.parametrize(
    "answer",
    [
        *({name: RESULTS} for name in ("results", "data")),
        {"result": {"response": [{"id": i["index"], "score": i["relevance_score"]} for i in RESULTS]}},
        {"records": [{"id": "2", "relevanceScore": "0.9"}]},
        {"results": [{"corpus_id": 2, "similarity": 0.9}] * 2},
    ],
)
async def test_documents_are_ordered(answer: object) -> None:
    async with serve_media(json_response(answer), rerank_model="judge") as (llm, endpoint):
        ranking = await llm.rerank("bread", ["cat", "dog", "loaf" * 2_000], limit=1)
    assert [(ranked.index, ranked.score) for ranked in ranking] == [(2, 0.9)]
    assert endpoint.bodies[0]["query"] == "bread"
    assert len(endpoint.bodies[0]["documents"][2]) == 4_000


@pytest.mark.parametrize(
    ("call", "answer", "message"),
    [
        ("image", response("200 OK", b'{"data": ['), "made no picture"),
        ("image", json_response({"data": [{"url": "http://127.0.0.1/secret"}]}), "made no picture"),
        ("image", json_response({"data": [{"b64_json": "PGh0bWw+"}]}), "made no picture"),
        ("speech", audio_response(b""), "could not read this text aloud"),
        ("speech", audio_response(b'{"audio": null}'), "could not read this text aloud"),
        ("speech", audio_response(b"pixels", "Image/PNG"), "could not read this text aloud"),
        ("speech", response("200 OK", b"{broken"), "could not read this text aloud"),
        ("speech", audio_response(b"Internal error", "application/octet-stream"), "could not read this text aloud"),
        ("rerank", json_response({"results": []}), "did not order the results"),
        ("rerank", json_response([{"index": 0, "score": 10**400}]), "did not order the results"),
        ("transcribe", json_response({"text": None}), "heard no words"),
        *((call, json_response(OUT_OF_MONEY), "has no credit left") for call in ARGUMENTS),
    ],
)
async def test_invalid_answer_is_one_sentence(call: str, answer: bytes, message: str) -> None:
    async with serve_media(answer, **EVERY_MODEL) as (llm, endpoint):
        with pytest.raises(LlmError, match=message) as caught:
            await getattr(llm, call)(*ARGUMENTS[call])
    assert caught.value.code in ("malformed", "empty", "filtered", "unauthorised")
    assert len(endpoint.bodies) == 1


async def test_redirect_is_not_followed() -> None:
    async with serve_endpoint(json_response(PICTURE)) as other:
        redirect = response("307 Elsewhere", b"", f"Location: {other.address}/images/generations")
        async with serve_media(redirect, image_model="painter") as (llm, _):
            llm._retries = 0
            with pytest.raises(LlmError):
                await llm.image("A cat")
    assert other.bodies == []


async def test_large_response_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.contrib.llm_media.endpoints.MAX_SPEECH_BYTES", 1_000)
    async with serve_media(audio_response(b"x" * 1_001), speech_model="reader") as (llm, _):
        with pytest.raises(LlmError, match="SPEECH_MODEL: the response of the endpoint is too long"):
            await llm.speech("Good morning")


@pytest.mark.parametrize(
    ("call", "arguments", "message"),
    [
        ("image", [" "], "There is no text"),
        ("speech", ["x" * 4_097], "Send at most 4,096 characters"),
        ("transcribe", [b"MZ", "a.exe"], "not a recording"),
    ],
)
async def test_invalid_input_is_not_sent(call: str, arguments: list[Any], message: str) -> None:
    async with serve_media(**EVERY_MODEL) as (llm, endpoint):
        assert await llm.rerank("bread", []) == []
        with pytest.raises(LlmError, match=message):
            await getattr(llm, call)(*arguments)
        with use_language("de"), pytest.raises(LlmError, match=r"4\.096"):
            await llm.speech("x" * 4_097)
    assert endpoint.bodies == []


async def test_unavailable_endpoint_is_retried_and_free() -> None:
    guard = MeteringGuard()
    model = MediaModel(name="painter", price=Decimal(1))
    busy = response("503 Busy", b"", "Retry-After: 0")
    async with serve_media(busy, guard=guard, image_model=model) as (llm, endpoint):
        with pytest.raises(LlmError, match="not working at the moment") as caught:
            await llm.image("A cat")
    assert caught.value.advice == "Check IMAGE_MODEL."
    assert len(endpoint.bodies) == 3
    assert guard.costs == [0]


async def test_calls_are_charged_to_the_user() -> None:
    guard, usage = MeteringGuard(), TokenUsage()
    painter = MediaModel(name="painter", price=Decimal("0.04"), price_per_million_answer_tokens=Decimal(10))
    answer = {**PICTURE, "usage": {"input_tokens": 12, "output_tokens": 1_000}}
    async with serve_media(json_response(answer), guard=guard, image_model=painter) as (llm, _):
        await llm.charged_to(Payer.of_user(7), usage).image("A cat")
    ((payer, spent),) = guard.usages
    assert (str(payer), spent.prompt_tokens, spent.completion_tokens) == ("user:7", 12, 1_000)
    assert spent.cost_micro == usage.cost_micro == 40_000 + 10_000


@pytest.mark.parametrize(("usage", "cost"), [({"seconds": 30}, 3_000), ({"seconds": 10**9}, 6_000), ({}, 6_000)])
async def test_transcription_costs_its_minutes(usage: dict[str, int], cost: int) -> None:
    guard, model = MeteringGuard(), MediaModel(name="ear", price=Decimal("0.006"))
    answer = json_response({"text": "Hello", "usage": usage})
    async with serve_media(answer, guard=guard, transcription_model=model) as (llm, _):
        await llm.transcribe(b"x" * 240_000, "a.webm")
    assert guard.costs == [cost]


async def test_cost_limit_refuses_a_picture(settings: Settings, database: Database) -> None:
    guard = SpendingGuard(settings.having(AnswersSettings(llm_max_cost_per_day=Decimal("0.05"))), database)
    painter = MediaModel(name="painter", price=Decimal("0.04"))
    async with serve_media(json_response(PICTURE), guard=guard, image_model=painter) as (llm, endpoint):
        await llm.image("A cat")
        await guard.flusher.flush()
        with pytest.raises(SpendingRefused, match="reached its limit"):
            await llm.image("A dog")
    assert len(endpoint.bodies) == 1
    others = {"embedding_model": EmbeddingModel(name="words")}
    media = MediaSettings(image_model=painter, speech_model=MediaModel(name="mouth"))
    (finding,) = check_spending(guard.settings.model_copy(update=others).having(media, guard.answers_settings))
    assert "does not limit EMBEDDING_MODEL, SPEECH_MODEL, which has no price" in finding.text


async def test_site_without_models_says_so() -> None:
    llm = LanguageModel.of(settings_with({}))
    assert not llm.offers("image")
    with pytest.raises(LlmError, match="No model for pictures is set up") as caught:
        await llm.image("A cat")
    assert caught.value.advice == "Set IMAGE_MODEL."


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("ear", {}, "TRANSCRIPTION_MODEL: ear needs the base_url"),
        ("ear", {"llm_dialect": "anthropic", "llm_base_url": "https://a.example"}, "ear needs the base_url"),
        ({"name": "ear", "base_url": "https://a.example", "api_key_setting": "site_name"}, {}, "no setting site_name"),
    ],
)
def test_model_without_endpoint_is_refused(model: object, changes: dict[str, Any], message: str) -> None:
    settings = settings_with({"transcription_model": model}, **changes)
    with pytest.raises(OperatorError, match=message):
        LanguageModel.of(settings)
    assert any(message in finding.text for finding in check_llm(settings))


def test_key_of_the_chat_stays_at_its_endpoint() -> None:
    llm = LanguageModel.of(settings_with({"image_model": {"name": "p", "base_url": "https://b.example"}}))
    assert llm.media.provider
    assert llm.media.provider.models["image"].api_key.get_secret_value() == ""
