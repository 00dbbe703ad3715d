"""Parts of the CREATE statements of a database: columns, unique constraints, indexes and lists of allowed values.

The pragmas of SQLite tell neither expressions nor conditions, and SQLAlchemy's regular expressions miss some of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, column
from sqlalchemy.engine.default import DefaultDialect

TOKEN = re.compile(
    r"""
    (?P<space> \s+ | --[^\n]* | /\*.*?(?:\*/|$) )  # also comments
    | '(?:[^']|'')*'  # a text
    | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \[[^\]]*\]  # a quoted name
    | [\w$]+ | .
    """,
    re.DOTALL | re.VERBOSE,
)
DEFAULT_ORDER = re.compile(r"(\s+ASC)?(\s+NULLS\s+(FIRST|LAST))?$", re.IGNORECASE)
COLON = re.compile(r"(?<!:):(?!:)")
QUOTES = {'"': '"', "`": "`", "[": "]"}
REFERENCE_ACTION = re.compile(r"\bON (DELETE|UPDATE) (SET NULL|SET DEFAULT|CASCADE|RESTRICT)\b")
CONFLICT = re.compile(r"\b(NOT NULL|PRIMARY KEY|UNIQUE)(?: ASC| DESC| \?)? ON CONFLICT (\w+)")
"""Constraint and its resolution of conflicts, such as IGNORE."""
BOOLEANS = {"true": "1", "false": "0"}
TABLE_RULES = ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN")
"""Words that begin a constraint in the list of columns."""

LISTED_COLUMN = re.compile(r'\(*"?(?P<column>\w+)"?\)*(?:::[\w ]+)?\s*(?:=\s*ANY\b|\bIN\b|=)', re.IGNORECASE)
LISTED_VALUE = re.compile(
    r"(?P<escaped>E?)'(?P<text>(?:[^']|'')*)'(?P<cast>::(?:character varying|\w+))?|(?P<number>-?\b\d+\b)"
)
"""Text or number, such as `'new'`, `'new'::text` and `3`."""
SEPARATORS = re.compile(r"(?:ARRAY|::[a-z ]+(?:\(\d+\))?(?:\[\])?|[\s(),\[\]])*")
"""Text between listed values, such as the end of `ARRAY['new', 'done']::text[])`."""


class IndexDefinition(NamedTuple):
    is_unique: bool
    parts: Sequence[str]
    """Columns and expressions with collation and order, such as `title COLLATE NOCASE DESC`."""
    where: str


class UniqueRule(NamedTuple):
    name: str | None
    columns: Sequence[str]
    on_conflict: str | None


class ColumnDefinition(NamedTuple):
    collation: str | None
    expression: str
    """Expression of a generated column, or an empty string."""
    is_autoincrement: bool
    reference_options: dict[str, Any]
    """Options of a foreign key that is written behind the column."""
    conflict_options: dict[str, str]
    """Options for ON CONFLICT of constraints that are written behind the column."""


class TableDefinition(NamedTuple):
    columns: dict[str, ColumnDefinition]
    """Columns by name in lower case."""
    unique_rules: Sequence[UniqueRule]
    key_conflict: str | None
    """Resolution of conflicts of the primary key, such as IGNORE."""


class AllowedValues(NamedTuple):
    """Condition that a column has one of several values."""

    column: str
    values: tuple[str | int, ...]

    @property
    def condition(self) -> ColumnElement[bool]:
        return column(self.column).in_(self.values)


def parse_index(sql: str) -> IndexDefinition:
    items = [*_items(sql)]
    words = [item.upper() for item in items]
    position = next(index for index, item in enumerate(items) if item.startswith("("))
    condition = items[words.index("WHERE", position) + 1 :] if "WHERE" in words[position:] else []
    return IndexDefinition("UNIQUE" in words[:3], _split(items[position]), "".join(condition).strip())


def has_collation(part: str) -> bool:
    return any(item.upper() == "COLLATE" for item in _items(part))


@lru_cache  # each table is read for its columns, its key, and each type of constraint
def parse_table(sql: str) -> TableDefinition:
    columns: dict[str, ColumnDefinition] = {}
    unique_rules: list[UniqueRule] = []
    key_conflict = None
    body = next((item for item in _items(sql) if item.startswith("(")), "()")
    for part in _split(body):
        items = [item for item in _items(part) if item.strip()]
        words = [item.upper() if item[0].isalpha() else "?" for item in items]  # without text in literals and groups
        conflicts = dict(CONFLICT.findall(" ".join(words)))
        if "UNIQUE" in words:
            unique_rules.append(_read_unique_rule(items, words.index("UNIQUE"), conflicts.get("UNIQUE")))
        if items and words[0] not in TABLE_RULES:
            columns[unquote(items[0]).lower()] = _read_column(items, words)
        key_conflict = conflicts.get("PRIMARY KEY", key_conflict)
    return TableDefinition(columns, unique_rules, key_conflict)


def parse_allowed_values(condition: Any) -> AllowedValues | None:
    """Return the values that a condition lists, such as those of an Enum. None for other conditions.

    SQLAlchemy, SQLite and PostgreSQL write them in different forms, such as `status IN ('new', 'done')` and
    `((status)::text = ANY (ARRAY['new'::text, 'done'::text]))`.
    """
    sql = sql_of(condition)
    start = LISTED_COLUMN.match(sql)
    if start is None:
        return None
    listed = sql[start.end() :]
    values = tuple(map(_parse_value, LISTED_VALUE.finditer(listed)))
    is_list = SEPARATORS.fullmatch(LISTED_VALUE.sub("", listed))
    return AllowedValues(start["column"], values) if values and is_list else None


def sql_of(expression: Any) -> str:
    """Return the SQL of an expression with its values, without the names of tables."""
    if isinstance(expression, str):
        return expression
    options = {"literal_binds": True, "include_table": False}
    return str(expression.compile(dialect=DefaultDialect(supports_native_boolean=True), compile_kwargs=options))


def identifiers(sql: str) -> set[str]:
    """Return the names and keywords of an expression in lower case, without quotes."""
    return {word for word in normalize(sql) if not word.startswith("'")}


def normalize(sql: str) -> Sequence[str]:
    """Return the tokens of an expression without differences in space, quotes, parentheses and upper case."""
    tokens = [match[0] for match in TOKEN.finditer(sql) if not match["space"]]
    while tokens[:1] == ["("] and len([*_items(" ".join(tokens).strip())]) == 1:
        tokens = tokens[1:-1]
    words = [token if token.startswith("'") else unquote(token).lower() for token in tokens]
    return [BOOLEANS.get(word, word) for word in words]


def rename_identifiers(sql: str, renamed: Mapping[str, str]) -> str:
    """Return an expression with the new names of columns."""
    names = {old.lower(): '"' + new.replace('"', '""') + '"' for old, new in renamed.items()}
    return TOKEN.sub(lambda match: names.get(unquote(match[0]).lower(), match[0]), sql) if names else sql


def without_default_order(part: str) -> str:
    """Return a part of an index without ASC, and without NULLS FIRST or LAST, which SQLite does not support."""
    return DEFAULT_ORDER.sub("", part)


def escape_parameters(sql: str) -> str:
    """Return SQL for SQLAlchemy's `text`, which would otherwise find parameters in literals such as '[:alpha:]'."""
    return COLON.sub(r"\:", sql)


def needs_parentheses(default: str) -> bool:
    """Return whether a default is an expression that starts with a literal. SQLAlchemy takes it for a literal."""
    return default.startswith("'") and len([*_items(default)]) > 1


def unquote(token: str) -> str:
    end = QUOTES.get(token[0])
    return token[1:-1].replace(end * 2, end) if end else token


def _parse_value(match: re.Match[str]) -> str | int:
    if match["number"]:
        return int(match["number"])
    text = match["text"].replace("''", "'")
    if match["cast"] in ("::integer", "::bigint", "::smallint"):  # PostgreSQL quotes negative numbers
        return int(text)
    return text.replace("\\\\", "\\") if match["escaped"] else text


def _read_column(items: Sequence[str], words: Sequence[str]) -> ColumnDefinition:
    collation = unquote(items[words.index("COLLATE") + 1]) if "COLLATE" in words else None
    group = items[words.index("AS") + 1] if "AS" in words else "()"
    text = " ".join(words)
    return ColumnDefinition(
        collation,
        expression=group[1:-1].strip(),
        is_autoincrement="AUTOINCREMENT" in words,
        reference_options=_read_reference_options(text),
        conflict_options={
            f"sqlite_on_conflict_{rule.lower().replace(' ', '_')}": word for rule, word in CONFLICT.findall(text)
        },
    )


def _read_unique_rule(items: Sequence[str], index: int, on_conflict: str | None) -> UniqueRule:
    """Return the rule at a position: `UNIQUE (a, b)`, or `UNIQUE` behind the definition of a column."""
    is_named = index > 1 and items[index - 2].upper() == "CONSTRAINT"
    name = unquote(items[index - 1]) if is_named else None
    following = items[index + 1] if index + 1 < len(items) else ""
    columns = _split(following) if following.startswith("(") else items[:1]
    return UniqueRule(name, [*map(unquote, columns)], on_conflict)


def _read_reference_options(words: str) -> dict[str, Any]:
    if "REFERENCES " not in words:
        return {}
    options: dict[str, Any] = {f"on{verb.lower()}": action for verb, action in REFERENCE_ACTION.findall(words)}
    if " DEFERRABLE" in words:
        options["deferrable"] = " NOT DEFERRABLE" not in words
    if initially := re.search(r" INITIALLY (\w+)", words):
        options["initially"] = initially[1]
    return options


def _split(group: str) -> list[str]:
    """Return the parts of a parenthesized list."""
    parts = [""]
    for item in _items(group[1:-1]):
        if item == ",":
            parts.append("")
        else:
            parts[-1] += item
    return [part.strip() for part in parts]


def _items(sql: str) -> Iterator[str]:
    """Yield tokens, each parenthesized group as one item, and one space instead of spaces and comments."""
    depth = 0
    group = ""
    for match in TOKEN.finditer(sql):
        token = " " if match["space"] else match[0]
        depth += token == "("
        if not depth:
            yield token
            continue
        group += token
        depth -= token == ")"
        if not depth:
            yield group
            group = ""
