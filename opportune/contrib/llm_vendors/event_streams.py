"""Events of vendors, with the fields that gateways leave out and without those that the libraries cannot read."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from opportune.contrib.llm.providers import events
from opportune.contrib.llm.providers.error_reader import error_in
from opportune.contrib.llm.providers.loose_json import object_in, objects_in, plain_key, text_in
from opportune.contrib.llm.providers.pieces import TEXT_TYPE

Event = dict[str, Any]

MAX_EVENT_BYTES = 5_000_000
"""Maximum bytes without a line break, which the libraries would collect in memory."""


@dataclass
class EventStream(httpx2.AsyncByteStream):
    """Server-sent events, each with one line of data.

    Raises:
        LlmError: The body is an error in JSON, or a line is too long.
    """

    stream: Any

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reader = events.EventReader(MAX_EVENT_BYTES)
        last = events.DONE
        async for chunk in self.stream:
            for event in reader.feed(chunk):
                last = event
                yield self._mended(event)
        for event in reader.finish():
            if event is events.END_OF_DOCUMENT and (error := error_in(last.value)):
                raise error
            last = event
            yield self._mended(event)

    async def aclose(self) -> None:
        await self.stream.aclose()

    def _mended(self, event: events.Event) -> bytes:
        if event.value.get("error") and (error := error_in(event.value)):
            raise error
        named = {"type": event.name, **event.value} if event.name else event.value
        return b"".join(map(_to_lines, self.events_for(named))) if event.value else b""

    def events_for(self, event: Event) -> Iterator[Event]:
        """Yield the events to read instead of one."""
        yield event


def _to_lines(event: Event) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""  # Google's library expects none
    return f"{name}data: {json.dumps(event)}\n\n".encode()


class AnthropicEvents(EventStream):
    """Events with their token counts, without which the library fails. Those of the end replace those of the start."""

    def events_for(self, event: Event) -> Iterator[Event]:
        if event.get("type") == "message_start" and isinstance(message := event.get("message"), dict):
            message["usage"] = {"input_tokens": 0, "output_tokens": 0} | object_in(message.get("usage"))
        if event.get("type") == "message_delta":
            event["usage"] = {"output_tokens": 0} | object_in(event.get("usage"))
        yield event


PARTS = {"functioncall": "name", "inlinedata": "data", "executablecode": "code", "codeexecutionresult": "outcome"}
"""Field that the library requires in each type of part. Texts have none."""


class GoogleEvents(EventStream):
    """Events without parts of unknown types, at which the library fails."""

    def events_for(self, event: Event) -> Iterator[Event]:
        for candidate in objects_in(event.get("candidates")):
            content = object_in(candidate.get("content"))
            content["parts"] = [part for part in objects_in(content.get("parts")) if _is_known(part)]
        yield event


def _is_known(part: Event) -> bool:
    fields = {plain_key(name): value for name, value in part.items()}
    return isinstance(fields.get("text"), str) or any(object_in(fields.get(name)).get(PARTS[name]) for name in PARTS)


@dataclass
class ResponsesEvents(EventStream):
    """Events with deltas also of a text that comes only with its whole item, or with the whole response."""

    _has_delta: bool = False  # since the last item
    _has_text: bool = False

    def events_for(self, event: Event) -> Iterator[Event]:
        if "refusal" in str(event.get("type")):  # the library would call it filtered; its words are in the item
            return
        is_text = event.get("type") == TEXT_TYPE
        is_item = event.get("type") == "response.output_item.done"
        items = objects_in(event.get("item") if is_item else object_in(event.get("response")).get("output"))
        text = text_in([item.get("content") for item in items if item.get("type") == "message"])
        if text and not (self._has_delta if is_item else self._has_text):
            yield {"type": TEXT_TYPE, "delta": text, "item_id": items[0].get("id"), "content_index": 0}
        self._has_delta = is_text or (self._has_delta and not is_item)
        self._has_text |= is_text or text != ""
        yield event


STREAMS = {"anthropic": AnthropicEvents, "google": GoogleEvents, "openai-responses": ResponsesEvents}
"""Streams by the dialect of the model. Bedrock's client has another protocol."""
