"""Parameters and headers of requests to an endpoint, and endpoints that refuse one of them."""

import logging
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from opportune.config.settings import Settings
from opportune.contrib.llm import Done, LlmError, LlmModel, Message, Picture, ToolCall, ToolSchema, make_provider
from opportune.contrib.llm.providers import refused_parameters
from opportune.contrib.llm.providers.openai_compatible import OpenAICompatible
from opportune.contrib.llm.providers.provider import UNSEEN_PICTURE
from opportune.contrib.llm.providers.remote import SHORTENED
from opportune.testing.plugin import settings_for
from tests.opportune.contrib.llm.providers.endpoint import FakeEndpoint, json_response, serve_endpoint
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, STOP, event, text
from tests.opportune.contrib.llm.providers.habits import message
from tests.opportune.contrib.llm.providers.model_answers import provider_at, read_answer, serve_provider

USAGE = event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
ANSWER = (EVENTS, text("Because."), event(STOP), USAGE, DONE)
REFUSAL_IN_STREAM = event({"error": {"message": "Unsupported parameter: 'stream_options'", "code": 400}})
ROLE = event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
OPTIONS = {"stream_options", "temperature"}
SYSTEM, ASKED = Message("system", "Be short."), Message("user", "Why?")
PICTURE = Message("user", "Who?", pictures=(Picture(b"drawn"),))


@pytest.fixture(autouse=True)
def no_remembered_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_parameters, "REMEMBERED", {})


def settings_with(endpoint: FakeEndpoint, **model: Any) -> Settings:
    settings = settings_for("sqlite://")
    models = [LlmModel(name="Tuned", base_url=endpoint.address, api_key=SecretStr("key"), **model)]
    return Settings(**{**settings.model_dump(exclude_unset=True), "llm_models": models})


async def read_answer_with(endpoint: FakeEndpoint, **model: Any) -> tuple[str, object]:
    provider = make_provider(settings_with(endpoint, **model))
    assert isinstance(provider, OpenAICompatible)
    try:
        return await read_answer(provider)
    finally:
        await provider.close()


@pytest.mark.parametrize(
    "refusal",
    [b"", EVENTS + REFUSAL_IN_STREAM, EVENTS + ROLE + REFUSAL_IN_STREAM],
    ids=["status", "event", "event after the role"],
)
async def test_refused_usage_option_is_remembered_per_endpoint(refusal: bytes) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse_parameter("stream_options", refusal)
        answer, done = await read_answer(provider)
        other = provider_at(endpoint.address)
        await read_answer(other)
        await other.close()
    assert isinstance(done, Done)
    assert (answer, done.prompt_tokens) == ("Because.", 7)
    assert ["stream_options" in body for body in endpoint.bodies] == [True, False, False]


async def test_refusal_after_the_first_text_ends_the_answer() -> None:
    async with serve_provider(EVENTS, text("Be"), REFUSAL_IN_STREAM) as (provider, endpoint):
        answer, outcome = await read_answer(provider)
    assert (answer, len(endpoint.bodies)) == ("Be", 1)
    assert isinstance(outcome, LlmError)


async def test_model_sends_its_own_parameters_and_headers() -> None:
    parameters = {"top_p": 0.9, "reasoning_effort": "low", "extra_body": {"safe_prompt": True, "max_tokens": 5}}
    async with serve_endpoint(*ANSWER) as endpoint:
        assert (await read_answer_with(endpoint, headers={"X-Title": "Clinic"}, **parameters))[0] == "Because."
        await read_answer_with(endpoint, headers={"Authorization": "Basic abc"})
    body = endpoint.bodies[0]
    assert (body["top_p"], body["reasoning_effort"], body["safe_prompt"], body["max_tokens"]) == (0.9, "low", True, 5)
    assert b"X-Title: Clinic\r\n" in endpoint.headers[0]
    assert b"Authorization: Bearer key\r\n" in endpoint.headers[0]
    assert b"Authorization: Basic abc\r\n" in endpoint.headers[1], "it replaces the key"
    assert b"Bearer" not in endpoint.headers[1]
    assert "secret" not in repr(LlmModel(name="Tuned", headers={"api-key": "secret"}))


async def test_error_names_the_refused_parameter(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serve_endpoint(*ANSWER) as endpoint:
        endpoint.refuse_parameter("top_p")
        _, outcome = await read_answer_with(endpoint, top_p=0.5)
    assert isinstance(outcome, LlmError)
    assert str(outcome) == "The model's endpoint rejects the parameter top_p."
    assert caplog.messages == ["the LLM endpoint responded with 422"]


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        ({"extra_body": {"messages": []}}, "extra_body may not contain messages"),
        ({"extra_body": {"stream": False}}, "extra_body may not contain stream"),
        ({"headers": {"Host": "elsewhere"}}, "headers may not contain Host"),
        ({"headers": {"X-A": "1\r\nX-B: 2"}}, "must be one line of ASCII characters"),
        ({"headers": {"X A": "1"}}, "is not a valid header"),
        ({"top_p": 0}, "greater than 0"),
    ],
)
def test_unusable_options_of_a_model_are_refused(model: dict[str, Any], answer: str) -> None:
    with pytest.raises(ValidationError, match=answer):
        LlmModel(name="Tuned", **model)


def refuse(message: str, status: str = "400 Bad Request") -> bytes:
    return json_response({"error": {"message": message, "type": "invalid_request_error"}}, status)


def has(name: str, body: dict[str, Any]) -> bool:
    return name in body or any(name in message for message in body["messages"])


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ({"max_tokens": "Use 'max_completion_tokens' instead of 'max_tokens'."}, {"max_completion_tokens", *OPTIONS}),
        ({"max_tokens": "No max_tokens", "max_completion_tokens": "Unknown: max_completion_tokens"}, OPTIONS),
        ({"temperature": "temperature does not support 0.5"}, {"max_tokens", "stream_options"}),
        ({"temperature": "temperature参数非法。请检查文档。"}, {"max_tokens", "stream_options"}),
        ({"stream_options": "Unrecognized: stream_options", "temperature": "No temperature."}, {"max_tokens"}),
        ({"reasoning": "property 'messages.1.assistant.reasoning' is unsupported"}, {"max_tokens", *OPTIONS}),
    ],
)
async def test_refused_parameters_are_left_out_and_remembered(messages: dict[str, str], sent: set[str]) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse = lambda body: next((refuse(text) for name, text in messages.items() if has(name, body)), None)
        returned = {"origin": provider.origin, "message": {"reasoning": "Hm."}}
        turns = [Message("user", "Why?"), Message("assistant", "So.", returned=returned), Message("user", "Why?")]
        for _ in range(2):
            assert (await read_answer(provider, (), turns, 0.5))[0] == "Because."
    assert endpoint.bodies[-1].keys() == {"model", "messages", "stream", *sent}
    assert endpoint.bodies[-1] == endpoint.bodies[-2]
    assert len(endpoint.bodies) == len(messages) + 2


async def test_field_that_must_come_back_is_not_left_out() -> None:
    async with serve_provider(refuse("The reasoning_content must be passed back to the API.")) as (provider, endpoint):
        returned = {"origin": provider.origin, "message": {"reasoning_content": "Hm."}}
        turns = [Message("assistant", "So.", returned=returned), Message("user", "Why?")]
        assert isinstance((await read_answer(provider, (), turns))[1], LlmError)
    assert all("reasoning_content" in body["messages"][0] for body in endpoint.bodies)


TOO_LONG = refuse("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.")


@pytest.mark.parametrize(
    "refusal", [TOO_LONG, EVENTS + event({"error": {"code": "context_length_exceeded"}})], ids=["status", "event"]
)
async def test_too_long_conversation_is_compacted_once(refusal: bytes) -> None:
    turns = [Message("system", "Be short.")]
    for number in range(6):
        turns += [Message("user", f"{number}" * 400), Message("assistant", f"{number}" * 400)]
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse = lambda body: refusal if len(body["messages"]) > 8 else None
        turns.append(Message("user", "Why?"))
        assert (await read_answer(provider, (), turns))[0] == "Because."
        endpoint.refuse = lambda _: refusal
        _, error = await read_answer(provider, (), turns)
    assert isinstance(error, LlmError)
    assert (error.code, str(error)) == ("context_too_long", "This conversation is too long for the model.")
    sent = endpoint.bodies[1]["messages"]
    assert [message["content"][:1] for message in sent] == ["B", "4", "4", "5", "5", "W"]
    assert len(endpoint.bodies) == 4


async def test_results_of_tools_are_shortened_in_turn() -> None:
    calls = (ToolCall("1", "find", "{}"), ToolCall("2", "find", "{}"))
    results = [Message("tool", word * 2_000, tool_call_id=id_) for id_, word in (("1", "long"), ("2", "ok"))]
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse = lambda body: TOO_LONG if len(body["messages"][-2]["content"]) == 8_000 else None
        await read_answer(provider, (), [ASKED, Message("assistant", "", tool_calls=calls), *results])
    contents = [turn["content"] for turn in endpoint.bodies[-1]["messages"][2:]]
    assert contents == [text[:3_000] + SHORTENED for text in ("long" * 2_000, "ok" * 2_000)]


@pytest.mark.parametrize(
    "refusal",
    [
        *("System role not supported", "Developer instruction is not enabled for gemma", "Invalid role: system"),
        "This model doesn't support system messages. Try again without them.",
        "messages.0.role: Input should be 'user' or 'assistant'",
    ],
)
@pytest.mark.parametrize("question", [ASKED, PICTURE], ids=["text", "picture"])
async def test_refused_system_message_becomes_part_of_the_question(refusal: str, question: Message) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse = lambda body: refuse(refusal) if body["messages"][0]["role"] == "system" else None
        assert [(await read_answer(provider, (), [SYSTEM, question]))[0] for _ in range(2)] == ["Because."] * 2
    assert [[turn["role"] for turn in body["messages"]] for body in endpoint.bodies[1:]] == [["user"]] * 2
    assert "Be short." in str(endpoint.bodies[-1]["messages"])


@pytest.mark.parametrize(
    "refusal",
    [
        *("unknown variant `image_url`, expected `text`", "image input is not supported"),
        *("'messages.0.content' : value must be a string", "messages[0]: invalid type: sequence, expected a string"),
        *("messages.content.type: ['text']", "Model does not support image modality"),
        "This model doesn't support the image content block that you provided.",
    ],
)
async def test_refused_pictures_become_notes(refusal: str) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        response = refuse(refusal, "500 Internal Server Error")
        endpoint.refuse = lambda body: response if isinstance(body["messages"][0]["content"], list) else None
        assert (await read_answer(provider, (), [PICTURE]))[0] == "Because."
    assert endpoint.bodies[-1]["messages"][0]["content"] == f"Who?\n\n{UNSEEN_PICTURE}"


@pytest.mark.parametrize(
    "words",
    [
        "Tool call id was call_0fypS1hVX but must be a-z, A-Z, 0-9, with a length of 9.",
        "messages.1.content.1.tool_use.id: String should match pattern '^[a-zA-Z0-9-]+$'",
        "Value at 'toolUse.toolUseId' failed to satisfy constraint: Member must satisfy regular expression pattern: x",
    ],
)
async def test_ids_of_calls_from_another_endpoint_are_shortened(words: str) -> None:
    call = ToolCall("call_0fypS1hVX", "find", "{}")
    turns = [ASKED, Message("assistant", "", tool_calls=(call,)), Message("tool", "5", tool_call_id=call.id)]
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse = lambda body: refuse(words) if "_" in body["messages"][-1]["tool_call_id"] else None
        assert (await read_answer(provider, (), turns))[0] == "Because."
    _, question, result = endpoint.bodies[-1]["messages"]
    assert question["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 9


@pytest.mark.parametrize(
    "words",
    [
        "messages: text content blocks must be non-empty",
        "Each message must have at least one content element.",
        "Invalid request: message at position 1 with role 'assistant' must not be empty",
    ],
)
async def test_refused_empty_messages_get_a_text(words: str) -> None:
    call = ToolCall("1", "find", "{}")
    turns = [ASKED, Message("assistant", "", tool_calls=(call,)), Message("tool", "", tool_call_id=call.id)]
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse = lambda body: None if all(turn["content"] for turn in body["messages"]) else refuse(words)
        assert [(await read_answer(provider, (), turns))[0] for _ in range(2)] == ["Because."] * 2
    assert len(endpoint.bodies) == 3


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("404 Not Found", "No endpoints found that can handle the requested parameters."),
        ("500 Internal Server Error", "failed to parse grammar"),
        ("400 Bad Request", "Failed to generate JSON. Please adjust your prompt."),
    ],
)
async def test_schema_that_is_refused_in_words_is_left_out(status: str, words: str) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse_parameter("response_format", refuse(words, status))
        chunks = [chunk async for chunk in provider.stream([ASKED], schema={"type": "object"})]
    assert chunks[0] == "Because."
    assert ["stream_options" in body for body in endpoint.bodies] == [True, True]


@pytest.mark.parametrize("words", ["m does not support tools", 'tool_choice="auto" requires --tool-call-parser'])
async def test_refused_tools_are_not_requested_again(words: str) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse_parameter("tools", refuse(words))
        error = (await read_answer(provider, [ToolSchema("find", "Find rows.", {})]))[1]
    assert isinstance(error, LlmError)
    assert ("calls_tools" in error.advice, len(endpoint.bodies)) == (True, 1)


@pytest.mark.parametrize(
    "words",
    [
        "Your organization must be verified to stream this model.",
        *("The model is unsupported for streaming", "streaming with tools is not supported"),
        "Unsupported value: 'stream' does not support true with this model.",
    ],
)
async def test_endpoint_that_cannot_stream_answers_as_a_whole(words: str) -> None:
    async with serve_provider(json_response(message("Because."))) as (provider, endpoint):
        endpoint.refuse_parameter("stream", refuse(words))
        assert (await read_answer(provider, [ToolSchema("find", "Find rows.", {})]))[0] == "Because."
    assert not {"stream", "stream_options"} & endpoint.bodies[-1].keys()


TOO_LARGE = "max_tokens is too large: 99. This model's maximum context length is 100 tokens."
TOO_LARGE_AT_SGLANG = "exceeds the model's maximum context length. You requested 99 tokens for the completion."
TOO_LARGE_FOR_MODEL = (
    "`max_tokens` must be less than or equal to `64`, the maximum value for `max_tokens` is less than the"
    " `context_window` for this model"
)


@pytest.mark.parametrize(
    ("message", "is_sent"),
    [
        pytest.param(TOO_LARGE, [True, False, True], id="for this conversation"),
        pytest.param(TOO_LARGE_AT_SGLANG, [True, False, True], id="for this conversation, at SGLang"),
        ("The maximum tokens you requested exceeds the model limit of 9", [True, False, False]),
        pytest.param(TOO_LARGE_FOR_MODEL, [True, False, False], id="for each conversation, at Groq"),
        pytest.param("too many tokens: max tokens must be less than 64", [True, False, False], id="Cohere"),
    ],
)
async def test_limit_that_is_too_large_is_left_out(message: str, is_sent: list[bool]) -> None:
    async with serve_provider(*ANSWER) as (provider, endpoint):
        endpoint.refuse_parameter("max_tokens", refuse(message))
        assert (await read_answer(provider))[0] == "Because."
        endpoint.refuse = lambda _: None
        assert (await read_answer(provider))[0] == "Because."
    assert ["max_tokens" in body for body in endpoint.bodies] == is_sent
