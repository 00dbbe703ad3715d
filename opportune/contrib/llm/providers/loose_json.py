"""Loose reading of JSON: objects that are not quite JSON, and values of whatever type."""

import json
import re
from base64 import b64decode
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

MAX_DEPTH = 5
"""Levels of objects and lists around a text."""
MAX_NUMBER = 10**18
MAX_REPAIRS = 6
"""Maximum number of repairs of a text, each of which reads its rest."""
FENCE = re.compile(r"\A\s*```\w*\n|\n?```\s*\Z")
OBJECT_BRACE = re.compile(r"\{(?!\s*+\{)")
"""Beginning of an object. Some models double braces, as in templates."""
# Words in braces, or an example with an ellipsis instead of a value.
PROSE_BRACE = re.compile(r"\{(?=[^{}]*+\})(?:[^{}:]+\}|[^{}]*[:,\[]\s*+(?:\.{3}|…)[^{}]*\})")
QUOTED_NAME = re.compile(r"\{\s*+[\"'“]")
BEDROCK_FIELDS = ("reasoningText", "reasoningContent")
TEXT_FIELDS = ("text", "content", "summary", "thinking", "transcript", "refusal", "value", "parts", *BEDROCK_FIELDS)
"""Fields with a text, of which the first counts."""


def _read_integer(digits: str) -> float:
    """Return an integer. Python refuses those of more than 4,300 digits."""
    return int(digits) if len(digits) < 20 else float(digits)


DECODER = json.JSONDecoder(strict=False, parse_int=_read_integer, parse_constant=lambda _: None)
"""Slower than pydantic_core, but accepts line breaks in texts, halves of surrogate pairs, and several values."""


def json_objects_in(text: str, *, is_prose: bool = False, may_lack_end: bool = False) -> list[dict[str, Any]]:
    """Return the JSON objects in a text until one is invalid. Some endpoints send no line break between events.

    An object that is invalid is repaired if it has one meaning, such as one of JavaScript or Python.

    Args:
        text: The text.
        is_prose: Braces of prose are skipped, and there are no objects if one is invalid or part of an invalid one.
        may_lack_end: Brackets may be missing at the end of the text.
    """
    objects = list[dict[str, Any]]()
    end = repairs = invalid_end = 0
    while next_brace := OBJECT_BRACE.search(text, end):
        start = next_brace.start()
        if is_prose and (brace := PROSE_BRACE.match(text, start)):
            end = brace.end()
            continue
        found = _object_at(start, text)
        if not found and repairs < MAX_REPAIRS:
            repairs += 1
            repaired = text[:start] + _repair(text[start:], may_lack_end=may_lack_end)
            found = _object_at(start, repaired)
            text = repaired if found else text
        if found and start >= invalid_end:
            value, end = found
            objects.append(value)
        elif not is_prose:
            return objects
        elif found or repairs == MAX_REPAIRS or QUOTED_NAME.match(text, start):
            return []
        else:  # such as a rule of CSS
            end = start + 1
            invalid_end = max(invalid_end, _closing_brace(start, text))
    return objects


def _closing_brace(start: int, text: str) -> int:
    """Return the index of the brace that closes the one at the start; the length of the text if there is none."""
    depth = 0
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return start + brace.start()
    return len(text)


def _object_at(start: int, text: str) -> tuple[dict[str, Any], int] | None:
    """Return an object and its end; None if it is invalid."""
    try:
        return DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None


STRING = r'"(?:[^"\\]|\\.)*+(?:"|\Z)'
# Text in quotes of any kind (also those of Gemma's models), name without quotes, word, comment or spare comma. What has
# no end reaches to the end of the text, so that a hostile one is read in one pass.
TOKEN = re.compile(
    rf"(?P<text>{STRING}|'(?:[^'\\]|\\.)*+(?:'|\Z)|[“”][^“”]*[“”])|<(?P<tag>\|\"\||escape)>(?P<raw>.*?)(?:<(?P=tag)>|\Z)"
    r"|(?<![\w$.-])(?P<key>[\w$.-]++)(?=\s*+:)|(?P<word>-?[A-Za-z]\w*|[()])|//[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z)"
    r"|,(?=\s*+[}\])])",
    re.DOTALL,
)
NULLS = ("None", "undefined", "NaN", "Infinity", "-Infinity")
WORDS = {"True": "true", "False": "false", "(": "[", ")": "]", **dict.fromkeys(NULLS, "null")}
ESCAPE = re.compile(r"""\\(?:["'\\/bfnrt]|u[0-9a-fA-F]{4})?|\"""")


def _repair(text: str, *, may_lack_end: bool) -> str:
    """Return JSON for comments, other quotes, names without quotes, spare commas and missing brackets."""
    text = TOKEN.sub(_plain_token, text).rstrip()
    if may_lack_end and text.endswith(("}", "]", '"', "e", "l")):  # a number may lack digits
        text += missing_brackets(text)
    return text


def missing_brackets(text: str) -> str:
    """Return the brackets that a text lacks at its end."""
    missing = list[str]()
    for bracket in re.findall(r"[{}\[\]]", re.sub(STRING, "", text)):
        if bracket in "{[":
            missing.append("}" if bracket == "{" else "]")
        elif missing:
            missing.pop()
    return "".join(reversed(missing))


def _plain_token(token: re.Match[str]) -> str:
    text = token["text"]
    plain = token["key"] or token["raw"]
    if plain is not None:
        return json.dumps(plain)
    if text is None:
        return WORDS.get(token["word"], token["word"] or "")
    if len(text) == 1 or text[-1] not in "\"'“”" or (text[0] == '"' and "\\" not in text):
        return text  # it has no end, or is JSON
    return '"' + ESCAPE.sub(_plain_escape, text[1:-1]) + '"'


def _plain_escape(escape: re.Match[str]) -> str:
    """Return an escape of JSON for one of another language, a lone backslash or a quote."""
    return escape[0].replace("\\'", "'") if len(escape[0]) > 1 else f"\\{escape[0]}"


def json_in(content: bytes | str) -> Any:
    """Return the value of a JSON text; None for other content, also if it is nested too deeply."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def is_object(text: str) -> bool:
    """Return True for the JSON of an object."""
    try:
        return "{" in text and isinstance(from_json(text, allow_inf_nan=False), dict)
    except ValueError:
        return False


def bytes_in(text: str) -> bytes:
    """Return the bytes in Base64, also in a data URL, with the letters for URLs or without its padding."""
    plain = re.sub(r"\s", "", text.rpartition(",")[2]).replace("-", "+").replace("_", "/")
    return b64decode(plain + "==")


def object_in(value: object) -> dict[str, Any]:
    """Return an object; an empty one for another value."""
    return value if isinstance(value, dict) else {}


def objects_in(value: object) -> list[dict[str, Any]]:
    """Return the objects in a list, also in one that was sent as an object or text, or an object without its list."""
    if not isinstance(value, list):
        value = json_in(value) if isinstance(value, str) else value
        if isinstance(value, dict):
            is_list = value and all(key.isdecimal() for key in value)  # a list by index
            value = [*value.values()] if is_list else [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text_in(value: object, depth: int = MAX_DEPTH) -> str:
    """Return the text in a text, a number, an object with a text, or a list of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth:
        return "".join(text_in(item, depth - 1) for item in value)
    if isinstance(value, dict) and depth:
        return next(filter(None, (text_in(value.get(name), depth - 1) for name in TEXT_FIELDS)), "")
    return key_in(value)


def key_in(value: object) -> str:
    """Return an index or id as text; empty for another value."""
    if isinstance(value, str):
        return value if value not in ("null", "None") else ""
    return str(value) if is_number(value) else ""


@lru_cache(maxsize=1_000)
def plain_key(name: str) -> str:
    """Return the name of a field in a form that does not depend on the case of its words."""
    return name.replace("_", "").lower()


def count_in(value: object) -> int | None:
    """Return a number of tokens, also of one sent as text; None for other values."""
    value = json_in(value) if isinstance(value, str) and len(value) <= 20 else value
    if isinstance(value, int | float) and is_number(value) and value >= 0 and value == int(value):
        return int(value)
    return None


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER
