"""Server defaults in a form that SQLite and PostgreSQL both understand, if possible."""

import re

CAST_LITERAL = re.compile(r"""(?P<literal>'(?:[^']|'')*')::[\w" .]+(?:\(\d+(?:,\s*\d+)?\))?[\w ]*""")
CAST_SEQUENCE = re.compile(r"(?P<call>nextval\('.+')::regclass\)")
NOW = ("now()", "CURRENT_TIMESTAMP")


def portable_default(expression: str) -> str:
    """Return `'x'` for `'x'::text`, and CURRENT_TIMESTAMP for now(). PostgreSQL treats them as equal."""
    if match := CAST_LITERAL.fullmatch(expression):
        return match["literal"]
    if match := CAST_SEQUENCE.fullmatch(expression):  # the form that Alembic compares
        return f"{match['call']})"
    return NOW[1] if expression == NOW[0] else expression
