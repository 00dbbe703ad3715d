"""Tool calls that a model writes into the text of its answer, in the template it was trained with."""

import re
from collections.abc import Mapping
from typing import Any

from opportune.contrib.llm.providers.loose_json import json_in, json_objects_in
from opportune.contrib.llm.providers.tool_calls import name_and_arguments, plain_name

Schema = Mapping[str, Any]

BAR = "\uff5c"
"""Full-width vertical line in the marks of DeepSeek."""
CALL_TAGS = (
    *("tool_call", "tool_calls", "function_call", "function_calls", f"{BAR}DSML{BAR}function_calls", "tools"),
    *("minimax:tool_call", "seed:tool_call", "longcat_tool_call", "|function_call|", "|tool_call|", "|python_tag|"),
    *("|tool_call_start|", "|tool_calls_section_begin|", "|action_start|", "|START_ACTION|", "start_function_call"),
    *(f"{BAR}tool▁calls▁begin{BAR}", f"{BAR}tool▁call▁begin{BAR}", "|tool_call"),
)
CALL_MARKS = (*(f"<{tag}>" for tag in CALL_TAGS), "<function=", "<invoke name=", "[TOOL_CALLS]")
"""Beginning of a text with calls: the marks of Qwen, GLM, Mistral, Llama, Gemma, Cohere, Kimi, DeepSeek and others."""
JSON_CALLS = (
    '{"name": "',
    '{"name":"',
    '{"type": "function"',
    '[{"name": "',
    '[{"name":"',
    '{\n  "name": "',
    '```json\n{"name": "',
)
"""Beginning of an answer that consists of calls, as Llama's models write them."""
START_OF_CALL = re.compile(
    rf"<tool_call>|<\|tool_call_begin\|>|<{BAR}tool▁call▁begin{BAR}>(?:function<{BAR}tool▁sep{BAR}>)?"
    r"|\[TOOL_CALLS\]|<\|tool_call>|<start_function_call>|<function=|<[^<>\s]*invoke name=|\A\w*\s*to="
)
NAME = re.compile(r"[\s\"':]*(?:call:)?([\w.:-]+)")
ARGUMENT = re.compile(
    r"<(?:arg_key>|[^<>\s]*parameter(?: name)?=[\"']?)([^<>\"']+)(?:</arg_key|[^<>]*)>(?:\s*<arg_value>)?"
    r"((?:[^<]|<(?!/?(?:arg_|[^<>\s]*parameter)))*)</(?:arg_value|[^<>\s]*parameter)>"
)
"""Name and value of an argument between tags. A value ends before the next tag, so that it is found in one pass."""


def end_of(mark: str) -> str:
    """Return the mark at the end of a text with calls: `</tool_call>`, `<|tool_call_end|>`, or one that never comes."""
    end = re.sub("begin|start", "end", mark).replace("START", "END")
    return end if end != mark else f"</{re.split('[ =>]', mark[1:])[0]}>"


def calls_in(text: str, tools: Mapping[str, Schema]) -> list[dict[str, Any]]:
    """Return the name and the arguments of the calls in a text that begins with a mark."""
    is_marked = not text.startswith(JSON_CALLS)
    calls = (_named(piece) for part in START_OF_CALL.split(text) for piece in _pieces_of(part, tools))
    return [
        {"name": name, "arguments": arguments}
        for name, arguments in calls
        if name in tools or (name and arguments and is_marked)
    ]


def _named(piece: Mapping[str, Any]) -> tuple[str, str]:
    name, arguments = name_and_arguments(piece)
    return plain_name(name), arguments


def _pieces_of(part: str, tools: Mapping[str, Schema]) -> list[dict[str, Any]]:
    """Return the calls in JSON, or one whose name is in front of its arguments."""
    before, brace, rest = part.partition("{")
    objects = json_objects_in(part) or json_objects_in(_repair(part))
    name = NAME.match(before)
    if not name:
        return objects
    properties = tools.get(name[1], {}).get("properties", {})
    values = {key: _value_of(value, properties.get(key)) for key, value in ARGUMENT.findall(part)}
    return [{"name": name[1], "arguments": values or [*objects, brace + rest][0]}]


def _repair(text: str) -> str:
    """Return JSON with the quotes that Gemma's models omit, and with the last brace that Qwen's models may forget."""
    quoted = re.sub(r'<\|"\|>|<escape>', '"', text)
    return re.sub(r"([{,]\s*)(\w+):", r'\1"\2":', quoted).strip() + "}"


def _value_of(text: str, schema: Any) -> Any:
    """Return the value of an argument between tags, which is JSON unless it is a text."""
    text = text.removeprefix("\n").removesuffix("\n")
    is_text = isinstance(schema, dict) and schema.get("type") == "string"
    value = None if is_text else json_in(text)
    return text if value is None and text != "null" else value
