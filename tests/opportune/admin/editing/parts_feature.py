"""Parts: a model whose list is edited in its cells, with hooks and locked fields, and the requests of a browser."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from html import unescape
from html.parser import HTMLParser
from typing import Any, Literal

from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, col
from starlette.requests import Request

from opportune.accounts.models import User
from opportune.admin import AdminForm, AdminView, ValidationRefused
from opportune.admin.models import AuditEntry
from opportune.db.clock import utc_now
from opportune.feature import Admin, Feature
from tests.opportune.admin.gadget_feature import Gadget, Maker, MakerAdmin
from tests.opportune.stored_rows import get_row, read_all
from tests.opportune.tables import Named, UnmigratedTable


class Part(Named, UnmigratedTable, table=True):
    name: str = Field(max_length=20, unique=True)
    maker_id: int | None = Field(default=None, foreign_key="test_maker.id")
    state: Literal["new", "used"] = "new"
    price: Decimal = Field(default=Decimal(1), max_digits=8, decimal_places=2)
    is_ready: bool = False
    due_on: date | None = None
    seen_at: datetime | None = None
    tags: list[str] = Field(default_factory=list)
    saves: int = 0
    updated_at: datetime = Field(default_factory=utc_now)


class PartAdmin(AdminView, model=Part):
    columns = ("name", "maker_id", "state", "price", "is_ready", "due_on", "seen_at", "tags", "saves")
    editable = ("name", "maker_id", "state", "price", "is_ready", "due_on", "seen_at", "tags")
    order = ("id",)
    readonly = ("saves", "updated_at")

    def get_readonly_fields(self, request: Request, row: Any) -> Sequence[str]:
        user: User = request.state.user
        return () if user.is_superuser else ("price",)

    async def check_can_edit(self, request: Request, model: Any) -> bool:
        return await super().check_can_edit(request, model) and not (model and model.name == "sealed")

    def clean(self, form: AdminForm, row: Any) -> dict[str, Any]:
        values = super().clean(form, row)
        if values["state"] == "used" and values["is_ready"]:
            raise ValidationRefused("A used part is never ready.", "is_ready")
        return values

    async def before_save(self, session: AsyncSession, row: Part, request: Request, *, is_created: bool) -> None:
        if row.name == "cursed":
            raise ValidationRefused("This name brings bad luck.")
        row.saves += 1


parts = Feature("parts", models=(Maker, Gadget, Part), admin=Admin((MakerAdmin, PartAdmin)))
LIST = "/admin/part/list"


def hidden_fields(html: str) -> dict[str, str]:
    tags = re.findall(r'<input type="hidden"[^>]*>', html)
    pairs = [re.findall(r' (name|value)="([^"]*)"', tag) for tag in tags]
    return {unescape(dict(pair)["name"]): unescape(dict(pair).get("value", "")) for pair in pairs}


async def open_cell(client: AsyncClient, column: str, pk: int = 1) -> dict[str, str]:
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
    match = re.search(r'action="([^"]*/undo[^"]*)"', html)
    assert match
    return unescape(match[1])


async def read_part(app: FastAPI, pk: int = 1) -> Part:
    part: Part = await get_row(app, Part, pk)
    return part


async def read_changes(app: FastAPI, pk: int = 1) -> list[dict[str, Any]]:
    of_part = (col(AuditEntry.identity) == "part", col(AuditEntry.row_id) == str(pk))
    entries = select(col(AuditEntry.changes)).where(*of_part)
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
