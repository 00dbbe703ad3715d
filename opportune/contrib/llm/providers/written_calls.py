"""Tool calls that a model writes into its text, as JSON, Python or tags."""

import ast
import json
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from opportune.contrib.llm.providers.loose_json import FENCE, json_in, json_objects_in, objects_in
from opportune.contrib.llm.providers.marks import BAR, CALLS, M3, pattern_of
from opportune.contrib.llm.providers.tool_calls import CUT_ARGUMENTS, plain_name, read_call, split_call

Schema = Mapping[str, Any]

START_OF_CALL = re.compile(
    "|".join(map(re.escape, (*CALLS, "<|plugin|>", "<|tool_call:name|>", "functools")))
    + rf"|function<{BAR}tool[▁_]sep{BAR}>|<[^<>\s]*invoke name=|>>>(?=\w+\n)|\A\w*\s*to=|\AAction:"
)
PYTHON_CALL = re.compile(r"\s*(?:\w+ = )?(?:\[\s*)?[\w.]+\(.*\)", re.DOTALL)
PRINT = re.compile(r"(?m)^print\((.*)\)$")
"""Output of a call, as Gemma's models request it."""
NAME = re.compile(r"[\s\"':]*(?:call:)?([\w.:-]+)")
ARGUMENT = re.compile(
    r"<(?:\w*arg_key>|[^<>\s]*parameter(?: name)?=[\"']?)([^<>\"']+)(</\w*arg_key|[^<>]*)>(?:\s*<\w*arg_value>)?"
    r"((?:[^<]|<(?!/?(?:\w*arg_|[^<>\s]*(?:parameter|function|invoke|tool_call))))*)"
)
"""Name and value of an argument between tags. A value ends before the next tag, so that it is found in one pass."""
M3_ARGUMENT = re.compile(re.escape(M3) + r"<(/?)(?!/?(?:tool_call|invoke))(\w+)>")
KIMI_TAGS = {"<|open|>call tool": "<invoke name", "<|open|>argument key": "<parameter", "<|close|>": "</parameter>"}
"""Tags of Kimi K3, as those of other models."""
MAX_PYTHON_LENGTH = 10_000


def calls_in(
    text: str, tools: Mapping[str, Schema], *, is_marked: bool = True, is_cut: bool = False
) -> list[dict[str, Any]]:
    """Return the name and the arguments of the calls in a text that begins with a mark.

    Args:
        text: The text, with its mark.
        tools: Schemas of the arguments by name.
        is_marked: Calls with arguments may have other names, which are refused later.
        is_cut: The last call is incomplete and must not run.
    """
    plain = M3_ARGUMENT.sub(lambda tag: "</parameter>" if tag[1] else f"<parameter={tag[2]}>", text).replace(M3, "")
    plain = pattern_of(tuple(KIMI_TAGS)).sub(lambda tag: KIMI_TAGS[tag[0]], plain).replace("<|sep|>", ">")
    calls = list[dict[str, Any]]()
    for part in START_OF_CALL.split(plain):
        for piece in map(read_call, _pieces_of(part, tools)):
            for name, arguments in split_call(piece.name, piece.arguments, tools):
                if name in tools or (name and arguments and is_marked):
                    calls.append({"name": name, "arguments": arguments})
    if is_cut:
        last = calls.pop()["name"] if calls else next((name for name in tools if name in text), None)
        calls += [{"name": last, "arguments": CUT_ARGUMENTS}] if last else []
    return calls


def _pieces_of(part: str, tools: Mapping[str, Schema]) -> list[dict[str, Any]]:
    """Return the calls in Python or JSON, or one whose name is in front of its arguments."""
    part = FENCE.sub("", part)
    if PYTHON_CALL.match(part) and (calls := _python_pieces(part)):
        return calls
    before, brace, rest = part.partition("{")
    name = NAME.match(before)
    arguments = ARGUMENT.findall(part)
    if name and not (brace or arguments) and "(" in part:
        part = f"{{{part.partition('(')[2].rpartition(')')[0]}}}"
    objects = json_objects_in(part, may_lack_end=True)
    if not name:
        lists = (item.get(field) for item in objects for field in ("tool_calls", "function_call", "tool_uses"))
        nested = [call for calls in lists for call in objects_in(calls)]
        # Apertus has the name as the only key.
        named = [{"name": key, "arguments": item[key]} for item in objects for key in item if key in tools]
        return nested or named or objects
    properties = tools.get(plain_name(name[1], tools), {}).get("properties", {})
    values = {key: _value_of(value, properties.get(key), more) for key, more, value in arguments}
    return [{"name": name[1], "arguments": values or (objects[0] if objects else brace + rest)}]


def _python_pieces(text: str) -> list[dict[str, Any]]:
    """Return calls such as `[find(title="Emma"), find(title="Ulysses")]` of Llama 4."""
    pieces = list[dict[str, Any]]()
    with warnings.catch_warnings(), suppress(SyntaxError, ValueError, MemoryError, RecursionError):
        warnings.simplefilter("ignore")  # unknown escapes in texts
        lines = ast.parse(PRINT.sub(r"\1", text.strip()[:MAX_PYTHON_LENGTH])).body
        expressions = [line.value for line in lines if isinstance(line, ast.Expr | ast.Assign)]
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
