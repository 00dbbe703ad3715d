"""Answers as the vendors send them. Each has reasoning with a signature, a text and a call of a tool."""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

SIGNATURE = "U0lHTg=="
"""Signature of the reasoning, which the vendor needs back."""
ARGUMENTS = '{"city": "Berlin"}'
TEXTS = ("One ", "moment.")


def events(*data: Mapping[str, Any]) -> bytes:
    names = (f"event: {event['type']}\n" if "type" in event else "" for event in data)
    return "".join(f"{name}data: {json.dumps(event)}\n\n" for name, event in zip(names, data, strict=True)).encode()


def block(index: int, start: object, *deltas: object) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


FIRST_USAGE = {"input_tokens": 6, "output_tokens": 1, "cache_read_input_tokens": 3}
ANTHROPIC = events(
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-5", "usage": FIRST_USAGE}},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Look it up."},
        {"type": "signature_delta", "signature": SIGNATURE},
    ),
    {"type": "ping"},
    *block(1, {"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in TEXTS)),
    *block(
        2,
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        *({"type": "input_json_delta", "partial_json": part} for part in (ARGUMENTS[:5], ARGUMENTS[5:])),
    ),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}},
    {"type": "message_stop"},
)


def candidate(part: object, **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0, **fields}]}


FUNCTION_CALL = {"functionCall": {"name": "weather", "args": json.loads(ARGUMENTS)}, "thoughtSignature": SIGNATURE}
COUNTS = {"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 7, "totalTokenCount": 21}
GOOGLE = events(
    candidate({"text": "Look it up.", "thought": True}),
    *(candidate({"text": text}) for text in TEXTS),
    candidate(FUNCTION_CALL, finishReason="STOP") | {"usageMetadata": COUNTS | {"cachedContentTokenCount": 3}},
)

RESPONSE: dict[str, Any] = {"id": "resp_1", "created_at": 1, "model": "gpt-5", "output": []}
DETAILS = {"input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 7}}
USAGE = {"input_tokens": 9, "output_tokens": 12, "total_tokens": 21, **DETAILS}


def item(index: int, value: Mapping[str, Any], *deltas: Mapping[str, Any], **done: Any) -> list[dict[str, Any]]:
    place = {"output_index": index, "item_id": value["id"]}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": value},
        *({**place, **delta} for delta in deltas),
        {"type": "response.output_item.done", "output_index": index, "item": {**value, **done}},
    ]


def numbered(*data: Mapping[str, Any]) -> bytes:
    return events(*({**event, "sequence_number": number} for number, event in enumerate(data)))


OPENAI = numbered(
    {"type": "response.created", "response": RESPONSE},
    *item(
        0,
        {"id": "rs_1", "type": "reasoning", "summary": []},
        {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "Look it up."},
        encrypted_content=SIGNATURE,
        summary=[{"type": "summary_text", "text": "Look it up."}],
    ),
    *item(
        1,
        {"id": "msg_1", "type": "message", "role": "assistant", "content": []},
        *({"type": "response.output_text.delta", "content_index": 0, "delta": text} for text in TEXTS),
        status="completed",
        content=[{"type": "output_text", "text": "One moment.", "annotations": []}],
    ),
    *item(
        2,
        {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": ""},
        {"type": "response.function_call_arguments.delta", "delta": ARGUMENTS},
        arguments=ARGUMENTS,
        status="completed",
    ),
    {"type": "response.completed", "response": {**RESPONSE, "status": "completed", "usage": USAGE}},
)


def frame(event: str, payload: object) -> bytes:
    fields = {":event-type": event, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in fields.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


def frames(index: int, *deltas: object) -> bytes:
    parts = [frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
    return b"".join([*parts, frame("contentBlockStop", {"contentBlockIndex": index})])


BEDROCK = b"".join(
    [
        frame("messageStart", {"role": "assistant"}),
        frames(0, {"reasoningContent": {"text": "Look it up."}}, {"reasoningContent": {"signature": SIGNATURE}}),
        frames(1, *({"text": text} for text in TEXTS)),
        frame(
            "contentBlockStart",
            {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tool_1", "name": "weather"}}},
        ),
        frames(2, {"toolUse": {"input": ARGUMENTS}}),
        frame("messageStop", {"stopReason": "tool_use"}),
        frame("metadata", {"usage": {"inputTokens": 6, "outputTokens": 12, "cacheReadInputTokens": 3}}),
    ]
)

MODELS = {
    "anthropic": "claude-sonnet-5",
    "google": "gemini-3-pro-preview",
    "openai-responses": "gpt-5",
    "bedrock": "us.anthropic.claude-sonnet-5-v1:0",
}
ANSWERS = {"anthropic": ANTHROPIC, "google": GOOGLE, "openai-responses": OPENAI, "bedrock": BEDROCK}
