"""One model of a vendor, on Pydantic AI, with the translation of conversations and answers.

Imported with the first question, because its libraries are slow and large.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_ai import exceptions
from pydantic_ai import messages as library
from pydantic_ai.direct import model_request_stream
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings, ThinkingLevel
from pydantic_ai.tools import ToolDefinition

from opportune.contrib.llm import Chunks, Done, LlmError, LlmModel, Message, Reasoning, Timeouts, ToolCall, ToolSchema
from opportune.contrib.llm.providers.error_reader import error_for_status, error_in
from opportune.contrib.llm.providers.errors import FILTERED, failure_of
from opportune.contrib.llm.providers.http_client import Deadline, translate_errors
from opportune.contrib.llm.providers.openai_stream import MAX_ANSWER_LENGTH
from opportune.contrib.llm.providers.pieces import UNFINISHED
from opportune.contrib.llm.providers.provider import CHECK_URL, INTERRUPTED, not_a_model
from opportune.contrib.llm.providers.returned_fields import Returned, fields_for
from opportune.contrib.llm_vendors.dialects import make_model
from opportune.i18n import gettext_lazy as _l
from opportune.schemas.text import make_storable_json

INCORRECT = _l("This language model is set up incorrectly.")

logger = logging.getLogger(__name__)


class Endpoint:
    """A model with its HTTP client."""

    def __init__(self, model: LlmModel, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._origin = f"{model.dialect} {model.base_url} {model.endpoint_name}"
        self._model, self._client = make_model(model, timeouts)
        self._settings = _settings_of(model)

    async def close(self) -> None:
        if self._client:
            await self._client.aclose()

    def takes_schema(self) -> bool:
        """Return whether the library can bind this model to a JSON Schema."""
        return bool(self._model.profile.get("supports_json_schema_output"))

    async def stream(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSchema],
        temperature: float | None,
        schema: Mapping[str, Any] | None = None,
    ) -> Chunks:
        settings = self._settings if temperature is None else {**self._settings, "temperature": temperature}
        parameters = ModelRequestParameters(function_tools=tool_definitions(tools))
        if schema:
            parameters.output_mode = "native"
            parameters.output_object = OutputObjectDefinition(dict(schema), name="answer")
        request = model_request_stream(
            self._model,
            messages_for(self._origin, messages),
            model_settings=settings,
            model_request_parameters=parameters,
            instrument=False,
        )
        deadline = Deadline(self._timeouts)
        lengths = {str: 0, Reasoning: 0}
        async with AsyncExitStack() as stack:
            with _translated_errors():
                response = await deadline.wait_for(stack.enter_async_context(request))
            events = aiter(response)
            while max(lengths.values()) < MAX_ANSWER_LENGTH:
                with _translated_errors(is_open=True):
                    event = await deadline.wait_for(anext(events, None))
                if event is None:
                    break
                deadline.restart_idle()
                for chunk in chunks_of(event):
                    lengths[type(chunk)] += len(chunk if isinstance(chunk, str) else chunk.text)
                    yield chunk
            answer = response.get()
        done = done_of(self._origin, answer)
        if max(lengths.values()) >= MAX_ANSWER_LENGTH:
            done = replace(done, truncated=True, tool_calls=())
        else:
            _require_complete(answer, done, has_text=lengths[str] > 0)
        yield done


def _settings_of(model: LlmModel) -> ModelSettings:
    settings = ModelSettings(max_tokens=model.max_answer_tokens)
    if model.top_p is not None:
        settings["top_p"] = model.top_p
    if model.reasoning_effort:
        settings["thinking"] = cast("ThinkingLevel", model.reasoning_effort)  # checked with the settings
    return settings | ModelSettings(extra_body=model.extra_body) if model.extra_body else settings


def _require_complete(answer: library.ModelResponse, done: Done, *, has_text: bool) -> None:
    raw_reason = str((answer.provider_details or {}).get("finish_reason", "")).lower()
    # The library has no word for some reasons, such as `pause_turn`.
    reason = answer.finish_reason or ("" if UNFINISHED.fullmatch(raw_reason) else raw_reason)
    if not reason:
        raise LlmError("interrupted", INTERRUPTED, done=done)
    has_reasoning = any(isinstance(part, library.ThinkingPart) for part in answer.parts)
    if failure := failure_of(reason, done, has_text=has_text, has_reasoning=has_reasoning):
        raise failure


@contextmanager
def _translated_errors(*, is_open: bool = False) -> Iterator[None]:
    """Turn errors of the library into LlmError, without their messages: these may contain the URL or the key."""
    try:
        with translate_errors():
            yield
    except exceptions.ModelHTTPError as error:
        content = json.dumps(error.body, default=str).encode()
        headers = {"Retry-After": str(error.retry_after or ""), **(error.headers or {})}
        raise error_for_status(error.status_code, content, headers) from None
    except exceptions.ContentFilterError:
        raise FILTERED.error() from None
    except exceptions.ModelTimeoutError:
        raise LlmError("timeout", "The model took too long to answer.") from None
    except exceptions.ModelConnectionError as error:
        down = LlmError("refused", "The model's endpoint cannot be reached.", advice=CHECK_URL)
        raise _cause_of(error) or (LlmError("interrupted", INTERRUPTED) if is_open else down) from None
    except exceptions.ModelAPIError as error:
        body = error.body if isinstance(error.body, dict) else {"message": error.message}
        raise _cause_of(error) or error_in(body, is_error=True) or not_a_model() from None
    except exceptions.UserError as error:
        logger.warning("the settings of the LLM are refused: %s", error)
        raise LlmError("not_configured", INCORRECT) from None
    except LlmError:
        raise
    except Exception as error:  # noqa: BLE001 - these libraries raise errors of many kinds
        logger.warning("the LLM endpoint sent something that is not an answer: %s", type(error).__name__)
        # The library has no class for a stream that ends before the first part of the answer.
        raise (LlmError("interrupted", INTERRUPTED) if "ended without" in str(error) else not_a_model()) from None


def _cause_of(error: BaseException) -> LlmError | None:
    """Return our own error, which libraries wrap into theirs."""
    cause = error.__cause__ or error.__context__
    return cause if cause is None or isinstance(cause, LlmError) else _cause_of(cause)


RESPONSE = "response"
"""Field of a returned message with the whole answer, in which the vendor finds its signatures."""
_RESPONSE = TypeAdapter(library.ModelResponse)


def messages_for(origin: str, messages: Sequence[Message]) -> list[library.ModelMessage]:
    """Return a conversation for the library. Results of tools follow their calls in one request, as vendors expect."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    converted: list[library.ModelMessage] = []
    for is_answer, turns in groupby(messages, lambda message: message.role == "assistant"):
        if is_answer:
            converted += (_to_response(origin, turn) for turn in turns)
        else:
            converted.append(library.ModelRequest(parts=[_to_part(turn, names) for turn in turns]))
    return converted


def _to_part(
    message: Message, names: Mapping[str, str]
) -> library.SystemPromptPart | library.UserPromptPart | library.ToolReturnPart:
    if message.role == "system":
        return library.SystemPromptPart(content=message.content)
    if message.role == "tool":
        name = names.get(message.tool_call_id, "unknown")
        return library.ToolReturnPart(tool_name=name, content=message.content, tool_call_id=message.tool_call_id)
    pictures = [library.BinaryContent(picture.content, media_type=picture.content_type) for picture in message.pictures]
    return library.UserPromptPart(content=[message.content, *pictures] if message.content else pictures)


def _to_response(origin: str, message: Message) -> library.ModelResponse:
    returned = next((call.returned for call in message.tool_calls if call.returned), message.returned)
    if stored := fields_for(origin, returned, "message").get(RESPONSE):
        with suppress(ValidationError):  # of another version of the library
            return _RESPONSE.validate_python(stored)
    text = [library.TextPart(message.content)] if message.content else []
    calls = [library.ToolCallPart(call.name, call.arguments or "{}", call.id) for call in message.tool_calls]
    return library.ModelResponse(parts=[*text, *calls])


def tool_definitions(tools: Iterable[ToolSchema]) -> list[ToolDefinition]:
    return [
        ToolDefinition(
            name=tool.name,
            parameters_json_schema=dict(tool.parameters),
            description=tool.description,
            strict=False,  # strict schemas allow no default values
        )
        for tool in tools
    ]


def chunks_of(event: object) -> Iterator[str | Reasoning]:
    """Yield the text or reasoning that an event of the library adds."""
    match event:
        case library.PartStartEvent(part=part) | library.PartDeltaEvent(delta=part):
            text = getattr(part, "content_delta", None) or getattr(part, "content", None)
            if text and isinstance(part, library.TextPart | library.TextPartDelta):
                yield text
            if text and isinstance(part, library.ThinkingPart | library.ThinkingPartDelta):
                yield Reasoning(text)


def done_of(origin: str, response: library.ModelResponse) -> Done:
    """Return the end of an answer: token counts, calls, and what the vendor needs back."""
    usage = response.usage
    returned = _returned(origin, response)
    calls = [
        ToolCall(part.tool_call_id, part.tool_name, _arguments_of(part))
        for part in response.parts
        if isinstance(part, library.ToolCallPart)
    ]
    if calls:
        calls[0] = replace(calls[0], returned=returned)
    return Done(
        prompt_tokens=usage.input_tokens or None,
        completion_tokens=usage.output_tokens or None,
        truncated=response.finish_reason == "length",
        tool_calls=tuple(calls),
        cached_tokens=usage.cache_read_tokens or None,
        reasoning_tokens=usage.details.get("reasoning_tokens") or None,
        returned={} if calls else returned,
    )


def _arguments_of(part: library.ToolCallPart) -> str:
    """Return the arguments as they came, also those that are cut, for which the library has an object."""
    return part.args if isinstance(part.args, str) and part.args else part.args_as_json_str()


def _returned(origin: str, response: library.ModelResponse) -> Returned:
    """Return the answer for the next question, if it contains more than text and calls."""
    names = ("signature", "provider_details", "id")
    if not any(getattr(part, name, None) for part in response.parts for name in names):
        return {}
    stored: dict[str, Any] = _RESPONSE.dump_python(response, mode="json", exclude={"usage", "timestamp"})
    return {"origin": origin, "message": {RESPONSE: make_storable_json(stored)}}
