"""Translation of conversations and answers between Opportune and Pydantic AI."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.tools import ToolDefinition

from opportune.contrib.llm.providers.pieces import Returned, fields_for, storable_json
from opportune.contrib.llm.providers.provider import Done, Message, Reasoning, ToolCall, ToolSchema

RESPONSE = "response"
"""Field of a returned message with the whole answer, in which the vendor finds its signatures."""
_RESPONSE = TypeAdapter(ModelResponse)


def messages_for(origin: str, messages: Sequence[Message]) -> list[ModelMessage]:
    """Return a conversation for the library. Results of tools follow their calls in one request, as vendors expect."""
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    converted: list[ModelMessage] = []
    for is_answer, turns in groupby(messages, lambda message: message.role == "assistant"):
        if is_answer:
            converted += (_to_response(origin, turn) for turn in turns)
        else:
            converted.append(ModelRequest(parts=[_to_part(turn, names) for turn in turns]))
    return converted


def _to_part(message: Message, names: Mapping[str, str]) -> SystemPromptPart | UserPromptPart | ToolReturnPart:
    if message.role == "system":
        return SystemPromptPart(content=message.content)
    if message.role == "tool":
        name = names.get(message.tool_call_id, "unknown")
        return ToolReturnPart(tool_name=name, content=message.content, tool_call_id=message.tool_call_id)
    pictures = [BinaryContent(picture.content, media_type=picture.content_type) for picture in message.pictures]
    return UserPromptPart(content=[message.content, *pictures] if message.content else pictures)


def _to_response(origin: str, message: Message) -> ModelResponse:
    returned = next((call.returned for call in message.tool_calls if call.returned), message.returned)
    if stored := fields_for(origin, returned, "message").get(RESPONSE):
        try:
            return _RESPONSE.validate_python(stored)
        except ValidationError:  # of another version of the library
            pass
    text = [TextPart(message.content)] if message.content else []
    calls = [ToolCallPart(call.name, call.arguments or "{}", call.id) for call in message.tool_calls]
    return ModelResponse(parts=[*text, *calls])


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
        case PartStartEvent(part=TextPart(content=text)) | PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
            if text:
                yield text
        case (
            PartStartEvent(part=ThinkingPart(content=reasoning))
            | PartDeltaEvent(delta=ThinkingPartDelta(content_delta=reasoning))
        ):
            if reasoning:
                yield Reasoning(reasoning)


def done_of(origin: str, response: ModelResponse) -> Done:
    """Return the end of an answer: token counts, calls, and what the vendor needs back."""
    usage = response.usage
    returned = _returned(origin, response)
    calls = [
        ToolCall(part.tool_call_id, part.tool_name, part.args_as_json_str())
        for part in response.parts
        if isinstance(part, ToolCallPart)
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


def _returned(origin: str, response: ModelResponse) -> Returned:
    """Return the answer for the next question, if it contains more than text and calls."""
    if not any(_is_signed(part) for part in response.parts):
        return {}
    stored: dict[str, Any] = _RESPONSE.dump_python(response, mode="json", exclude={"usage", "timestamp"})
    return {"origin": origin, "message": {RESPONSE: storable_json(stored)}}


def _is_signed(part: object) -> bool:
    return any(getattr(part, name, None) for name in ("signature", "provider_details", "id"))
