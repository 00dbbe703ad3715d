"""Requests for cells and rows, as a browser sends them."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select
from sqlmodel import col

from opportune.admin.models import AuditEntry
from tests.opportune.admin.editing.parts_feature import Part
from tests.opportune.stored_rows import get_row, read_all

LIST = "/admin/part/list"


def hidden_fields(html: str) -> dict[str, str]:
    """Return the hidden fields of a page, by name."""
    tags = re.findall(r'<input type="hidden"[^>]*>', html)
    pairs = [re.findall(r' (name|value)="([^"]*)"', tag) for tag in tags]
    return {unescape(dict(pair)["name"]): unescape(dict(pair).get("value", "")) for pair in pairs}


async def open_cell(client: AsyncClient, column: str, pk: int = 1) -> dict[str, str]:
    """Return the hidden fields of an opened cell."""
    response = await client.get(f"/admin/part/cell/{column}/{pk}")
    assert response.status_code == 200, response.text
    return hidden_fields(response.text)


async def send_cell(client: AsyncClient, column: str, fields: dict[str, str], pk: int = 1) -> Response:
    return await client.post(f"/admin/part/cell/{column}/{pk}", data=fields)


async def edit_cell(client: AsyncClient, column: str, text: str | None, pk: int = 1) -> Response:
    """Open a cell and send a text. None sends no text, like a checkbox that is not checked."""
    fields = await open_cell(client, column, pk)
    return await send_cell(client, column, fields | ({} if text is None else {f"{pk}-{column}": text}), pk)


def undo_url(html: str) -> str:
    """Return the URL of the form Undo in a page."""
    match = re.search(r'action="([^"]*/undo[^"]*)"', html)
    assert match
    return unescape(match[1])


async def read_part(app: FastAPI, pk: int = 1) -> Part:
    part: Part = await get_row(app, Part, pk)
    return part


async def read_changes(app: FastAPI, pk: int = 1) -> list[dict[str, Any]]:
    """Return the logged changes of a part, oldest first."""
    entries = select(col(AuditEntry.changes)).where(
        col(AuditEntry.identity) == "part", col(AuditEntry.row_id) == str(pk)
    )
    return await read_all(app, entries.order_by(col(AuditEntry.id)))


class _Fields(HTMLParser):
    """Collects the fields of the last form of a page as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, list[str]] = {}
        self.select = ""
        self.options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        name, value = values.get("name") or "", values.get("value") or ""
        if tag == "form":
            self.fields = {}
        if tag == "input" and name and (values.get("type") != "checkbox" or "checked" in values):
            self.fields.setdefault(name, []).append(value)
        if tag == "select":
            self.select, self.options = name, []
        if tag == "option":
            self.options.append((value, "selected" in values))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select" and self.select and self.options:
            selected = [value for value, is_selected in self.options if is_selected]
            self.fields[self.select] = selected or [self.options[0][0]]


def form_fields(html: str) -> dict[str, list[str]]:
    """Return the fields of the main form of a page, without those for browsers without JavaScript."""
    start = html.index("<form", html.index("<main"))
    parser = _Fields()
    parser.feed(re.sub(r"<noscript>.*?</noscript>", "", html[start : html.index("</form>", start)], flags=re.DOTALL))
    return parser.fields
