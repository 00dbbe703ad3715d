"""Calls that a model writes into the text of its answer: their marks, and how they are read."""

import ast
import json
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from itertools import product
from typing import Any

from opportune.contrib.llm.providers.loose_json import json_in, json_objects_in, objects_in
from opportune.contrib.llm.providers.tool_calls import plain_name, read_call

Schema = Mapping[str, Any]

BAR = "\uff5c"
"""Full-width vertical line in the marks of DeepSeek."""
CALL_NAMES = ("tool_calls", "tool_call", "function_calls", "function_call")
DSML = (f"{bar}DSML{bar}" for bar in (BAR, BAR * 2, "|", "||", "‖"))
CALL_TAGS = (
    *(f"{vendor}{name}" for vendor in ("", "minimax:", "seed:", "longcat_", *DSML) for name in CALL_NAMES),
    *("tools", "toolcall", "TOOLCALL", "TOOL_CALL", "|tools_prefix|", "|tool_call|", "|tool_call", "|function_call|"),
    *("|python_tag|", "|python_start|", "|action_start|", "|START_ACTION|", "start_function_call", "|tool_call_start|"),
    *(f"|{name}_begin|" for name in ("tool_calls_section", "tool_call_section", "tool_call")),
    *(f"{BAR}{name}{BAR}" for name in ("tool▁calls▁begin", "tool▁call▁begin", "tool_calls_begin", "tool_call_begin")),
)
M3 = "]<]minimax[>["  # prefix of the tags of MiniMax M3. Those of arguments have their name: `]<]minimax[>[<title>`.
BRACKETS = ("[TOOL_CALLS]", "[TOOL_CALL]", "[TOOL_REQUEST]")
CALLS = (
    *(f"<{tag}>" for tag in CALL_TAGS),
    *("<function=", "<function(", "<function name=", "<invoke name=", "<steptml:invoke name="),
    *(f"{M3}<tool_call>", *BRACKETS),
    *(f"{before}function call<|role_sep|>" for before in ("<|message_sep|>\n\n", "")),
)
"""Beginning of a text with calls: the marks of Qwen, GLM, Mistral, Llama, Gemma, Cohere, Kimi, DeepSeek and others."""
FIELDS = ("id", "name", "type", "tool", "tool_name", "tool_calls", "function", "function_call", "action")
BEFORE_CALLS = ("", "```json\n", "```tool_call\n", "Action: ```json\n"), ("", "[", "[\n  "), ("", "\n  ", "\n    ")
WHOLE_CALLS = (
    *(f'{fence}{bracket}{{{space}"{name}"' for fence, bracket, space, name in product(*BEFORE_CALLS, FIELDS)),
    *("```tool_code\n", "functools["),
)
"""Beginning of an answer that consists of calls, as Llama's and Gemma's models write them."""
FENCE = "\n```"
TEXT_CALLS = ("[{}(", '{{"name": "{}"', '{{"name":"{}"')
"""Calls at the beginning of a line, for each offered tool."""
START_OF_CALL = re.compile(
    "|".join(map(re.escape, (*CALLS, "<|plugin|>", "functools")))
    + rf"|function<{BAR}tool[▁_]sep{BAR}>|<[^<>\s]*invoke name=|\A\w*\s*to=|```tool_\w+\s|\AAction:"
)
PYTHON_CALL = re.compile(r"\s*(?:\[\s*)?[\w.]+\(.*\)", re.DOTALL)
NAME = re.compile(r"[\s\"':]*(?:call:)?([\w.:-]+)")
ARGUMENT = re.compile(
    r"<(?:arg_key>|[^<>\s]*parameter(?: name)?=[\"']?)([^<>\"']+)(</arg_key|[^<>]*)>(?:\s*<arg_value>)?"
    r"((?:[^<]|<(?!/?(?:arg_|[^<>\s]*(?:parameter|function|invoke|tool_call))))*)"
)
"""Name and value of an argument between tags. A value ends before the next tag, so that it is found in one pass."""
M3_ARGUMENT = re.compile(re.escape(M3) + r"<(/?)(?!/?(?:tool_call|invoke))(\w+)>")
MAX_PYTHON_LENGTH = 10_000


def calls_in(text: str, tools: Mapping[str, Schema]) -> list[dict[str, Any]]:
    """Return the name and the arguments of the calls in a text that begins with a mark."""
    is_marked = not text.startswith(WHOLE_CALLS)
    text = M3_ARGUMENT.sub(lambda tag: "</parameter>" if tag[1] else f"<parameter={tag[2]}>", text).replace(M3, "")
    pieces = (read_call(piece) for part in START_OF_CALL.split(text) for piece in _pieces_of(part, tools))
    calls = [(plain_name(piece.name), piece.arguments) for piece in pieces]
    return [
        {"name": name, "arguments": arguments}
        for name, arguments in calls
        if name in tools or (name and arguments and is_marked)
    ]


def _pieces_of(part: str, tools: Mapping[str, Schema]) -> list[dict[str, Any]]:
    """Return the calls in Python or JSON, or one whose name is in front of its arguments."""
    if PYTHON_CALL.match(part) and (calls := _python_pieces(part)):
        return calls
    before, brace, rest = part.partition("{")
    name = NAME.match(before)
    if name and not brace and "(" in part:
        part = f"{{{part.partition('(')[2].rpartition(')')[0]}}}"
    objects = json_objects_in(part, may_lack_end=True)
    if not name:
        nested = [call for item in objects for call in objects_in(item.get("tool_calls") or item.get("function_call"))]
        # Apertus has the name as the only key.
        named = [{"name": key, "arguments": item[key]} for item in objects for key in item if key in tools]
        return nested or named or objects
    properties = tools.get(name[1], {}).get("properties", {})
    values = {key: _value_of(value, properties.get(key), more) for key, more, value in ARGUMENT.findall(part)}
    return [{"name": name[1], "arguments": values or [*objects, brace + rest][0]}]


def _python_pieces(text: str) -> list[dict[str, Any]]:
    """Return calls such as `[find(title="Emma"), find(title="Ulysses")]` of Llama 4."""
    pieces = list[dict[str, Any]]()
    with warnings.catch_warnings(), suppress(SyntaxError, ValueError, MemoryError, RecursionError):
        warnings.simplefilter("ignore")  # unknown escapes in texts
        lines = ast.parse(text.strip("` \n")[:MAX_PYTHON_LENGTH]).body
        expressions = [line.value for line in lines if isinstance(line, ast.Expr)]
        for node in (item for expression in expressions for item in getattr(expression, "elts", [expression])):
            if isinstance(node, ast.Call):
                values = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
                arguments = json.dumps(values, default=repr, skipkeys=True)
                pieces.append({"name": ast.unparse(node.func), "arguments": arguments})
    return pieces


def _value_of(text: str, schema: Any, attributes: str) -> Any:
    """Return the value of an argument between tags, which is JSON unless it is a text."""
    text = text.removeprefix("\n").removesuffix("\n")
    is_text = 'string="true"' in attributes or (isinstance(schema, dict) and schema.get("type") == "string")
    value = None if is_text else json_in(text)
    return text if value is None and text != "null" else value
