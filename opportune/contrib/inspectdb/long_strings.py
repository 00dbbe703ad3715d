"""Long strings in generated code, such as the text of a check constraint."""

import re
import tokenize
from ast import literal_eval
from io import StringIO

MAX_LINE_CHARACTERS = 120
PART = re.compile(r"(?s).{1,70}(?:\s|$)|.{1,70}")


def break_strings(code: str) -> str:
    """Split strings on overlong lines into shorter strings in parentheses."""
    lines = code.splitlines(keepends=True)
    strings = [token for token in tokenize.generate_tokens(StringIO(code).readline) if token.type == tokenize.STRING]
    for token in reversed(strings):
        (row, start), (last_row, end) = token.start, token.end
        line = lines[row - 1]
        parts = [repr(part) for part in PART.findall(literal_eval(token.string))]
        if row == last_row and len(line.rstrip()) > MAX_LINE_CHARACTERS and len(parts) > 1:
            lines[row - 1] = f"{line[:start]}({' '.join(parts)}){line[end:]}"
    return "".join(lines)
