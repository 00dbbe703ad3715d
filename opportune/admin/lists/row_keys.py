"""Keys of rows as texts in URLs and forms, and the conditions that find their rows."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError
from sqladmin.helpers import get_object_identifier
from sqlalchemy import Column, ColumnElement, Select, and_, bindparam, select, tuple_
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import Request

from opportune.admin.base import BaseAdminView
from opportune.db.models.columns import key_names_of, python_type_of
from opportune.db.models.row_ids import MAX_ID
from opportune.schemas.annotations import adapter_of
from opportune.web.forms.error_messages import INVALID_ROW

INTEGER = re.compile(r"-?\d{1,19}")
KEY_PART = re.compile(r"(?:^|;)((?:[^;\\]|\\.)*)", re.DOTALL)
"""One value in the text of a key with several columns, in which `;` separates the values and `\\` precedes a `;`."""
UNSAFE = re.compile(r"[^\w.@:;-]|^$|^\.(?=\.?$)|^_(?=_None$)")
"""Characters with a meaning in URLs, forms or lists of keys, and texts that browsers or forms would change."""
KEY = r"[\w.@:;~-]+"
"""Pattern of the texts of `key_of`."""
QUOTED = re.compile(r"~(?:[0-9A-F]{2}(?:~[0-9A-F]{2})*)?")


def key_of(row: Any) -> str:
    """Return the primary key of a row as it is in URLs and forms."""
    name, *others = key_names_of(row.__mapper__)
    key = getattr(row, name)
    return quote_key(get_object_identifier(row)) if others or type(key) is not int else str(key)


def quote_key(key: object) -> str:
    """Return a key without special characters: `a/b?` is `a~2Fb~3F`. Servers and proxies decode `%2F` in paths."""
    return UNSAFE.sub(lambda match: "~" + match[0].encode(errors="surrogatepass").hex("~").upper(), str(key))


def unquote_key(text: str) -> str:
    """Return the key in a text of `quote_key`. Any other text, such as one that a user typed, is the key itself."""
    key = QUOTED.sub(lambda match: bytes.fromhex(match[0].replace("~", " ")).decode(errors="replace"), text)
    return key if quote_key(key) == text else text


def row_url(request: Request, view: BaseAdminView, page: str, row: Any) -> URL:
    """Return the URL of a page of a row, such as `details`."""
    return request.url_for(f"admin:{page}", identity=view.identity, pk=quote(key_of(row)))


def match_primary_keys(view: BaseAdminView, pks: Sequence[str]) -> ColumnElement[bool]:
    """Return the condition for rows with these primary keys.

    Raises:
        HTTPException: One of the keys is not valid.
    """
    try:
        values = [_parse_key(view, pk) for pk in pks]
    except ValueError:
        raise HTTPException(404) from None
    keys: Sequence[Column[Any]] = view.pk_columns
    if len(values) == 1:
        return and_(*(key == value for key, value in zip(keys, values[0], strict=True)))
    if len(keys) > 1:
        return tuple_(*keys).in_(values)
    # Numbers are written into the statement, because databases limit the number of parameters.
    is_number = python_type_of(keys[0]) is int
    return keys[0].in_(bindparam("pks", [value for (value,) in values], expanding=True, literal_execute=is_number))


def row_by_key(view: BaseAdminView, pk: str) -> Select[Any]:
    """Select the row with this key, also if the list does not have it.

    Raises:
        HTTPException: No row can have this key.
    """
    return select(view.model).where(match_primary_keys(view, [pk]))


async def writable_keys(request: Request, view: BaseAdminView, pks: Sequence[str]) -> set[str]:
    """Return the keys of rows that the rules of `crud` allow the user to change, in at most one query."""
    if not (conditions := view.rules.writable(request)):
        return set(pks)
    statement = view.list_query(request).where(match_primary_keys(view, pks), *conditions)
    return {key_of(row) for row in await view.queries.objects(statement)}


def _parse_key(view: BaseAdminView, pk: str) -> tuple[Any, ...]:
    """Return the values of a key that `key_of` wrote.

    Raises:
        ValueError: No row can have this key.
    """
    columns: Sequence[Column[Any]] = view.pk_columns
    pk = unquote_key(pk)
    parts = [pk] if len(columns) == 1 else [re.sub(r"\\(.)", r"\1", part) for part in KEY_PART.findall(pk)]
    return tuple(parse_key(column, part) for column, part in zip(columns, parts, strict=True))


def parse_id(text: str) -> int:
    """Return the id in a text.

    Raises:
        ValueError: The text is not an id that a row can have.
    """
    with suppress(ValueError):
        if INTEGER.fullmatch(text.strip()) and -MAX_ID <= (number := int(text)) <= MAX_ID:
            return number
    raise ValueError(INVALID_ROW)


def parse_key(column: Column[Any], text: str) -> Any:
    """Return the value of a primary key in a text.

    Raises:
        ValueError: No row can have this key.
    """
    type_: Any = python_type_of(column)
    if type_ is int:
        return parse_id(text)
    try:
        return adapter_of(type_).validate_strings(text)
    except ValidationError:
        raise ValueError(INVALID_ROW) from None


def listed_keys(view: BaseAdminView, request: Request) -> Select[Any] | None:
    """Select the primary keys of the rows that the view lists for this user; None for all rows of the table."""
    rows = view.list_query(request).with_only_columns(*_keys(view), maintain_column_froms=True).order_by(None)
    lists_all = rows.whereclause is None and [*rows.get_final_froms()] == [view.table]
    return None if lists_all else rows


def row_conditions(view: BaseAdminView, request: Request) -> list[ColumnElement[bool]]:
    """Return the condition for rows that the view lists for this user; empty for all rows of the table."""
    rows = listed_keys(view, request)
    if rows is None:
        return []
    keys = _keys(view)
    key = tuple_(*keys) if len(keys) > 1 else keys[0]
    return [key.in_(rows)]


def _keys(view: BaseAdminView) -> list[Any]:
    return [view.mapper.get_property_by_column(key).class_attribute for key in view.pk_columns]
