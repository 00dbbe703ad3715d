"""Rows of the admin whose keys are special texts, UUIDs, several columns, zero, or made by the database."""

import re
from html import unescape
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import MetaData, select, text
from sqlmodel import Field, Relationship, SQLModel, col

from opportune.admin import AdminView, Inline
from opportune.admin.lists.row_keys import KEY, quote_key, unquote_key
from opportune.admin.models import AuditEntry
from opportune.feature import Admin, Feature
from tests.opportune.admin.editing.parts_feature import hidden_fields
from tests.opportune.contrib.import_export.import_steps import confirm_preview, upload_file
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, read_all, read_one

UNIT = UUID(int=2**127)
TEXTS = ("a?b", "a#b", "a/b", "%41", "a,b", "a;b", "a~b", " a ", "a\nb", "..", "__None", "🎉", "x" * 300)


class Table(SQLModel):
    metadata = MetaData()


class Part(Table, table=True):
    __tablename__ = "test_part"

    code: str = Field(primary_key=True, max_length=300)
    title: str = ""

    def __str__(self) -> str:
        return self.title or self.code


class Level(Table, table=True):
    __tablename__ = "test_level"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    title: str = ""


class Crate(Table, table=True):
    __tablename__ = "test_crate"

    id: str = Field(default=None, primary_key=True, sa_column_kwargs={"server_default": text("('c' || random())")})
    part_code: str | None = Field(default=None, foreign_key="test_part.code", max_length=300)
    level_number: int | None = Field(default=None, foreign_key="test_level.number")


class KitPart(Table, table=True):
    __tablename__ = "test_kit_part"

    kit_id: UUID = Field(primary_key=True, foreign_key="test_kit.id")
    code: str = Field(primary_key=True, foreign_key="test_part.code", max_length=300)


class Kit(Table, table=True):
    __tablename__ = "test_kit"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    parts: list[Part] = Relationship(link_model=KitPart)


class Note(Table, table=True):
    __tablename__ = "test_note"

    id: int | None = Field(default=None, primary_key=True)
    part_code: str = Field(foreign_key="test_part.code", max_length=300)
    body: str = ""


class Cabin(Table, table=True):
    __tablename__ = "test_cabin"

    deck: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    kit_id: UUID | None = Field(default=None, foreign_key="test_kit.id")
    beds: int = 2


class Passport(Table, table=True):
    __tablename__ = "test_passport"

    kit_id: UUID = Field(primary_key=True, foreign_key="test_kit.id")
    number: str = ""


class PartAdmin(AdminView, model=Part):
    can_import = can_export = True
    editable = ("title",)
    inlines = (Inline(Note, "part_code", ("body",)),)


class LevelAdmin(AdminView, model=Level): ...


class CrateAdmin(AdminView, model=Crate):
    filters = ("part_code", "level_number")
    can_import = can_export = True


class KitAdmin(AdminView, model=Kit):
    filters = ("parts",)


class NoteAdmin(AdminView, model=Note): ...


class CabinAdmin(AdminView, model=Cabin): ...


class PassportAdmin(AdminView, model=Passport): ...


MODELS = (Part, Level, Crate, Kit, KitPart, Note, Cabin, Passport)
VIEWS = (PartAdmin, LevelAdmin, CrateAdmin, KitAdmin, NoteAdmin, CabinAdmin, PassportAdmin)
app = site_fixture(Feature("keys", models=MODELS, admin=Admin(VIEWS)))


async def read_links(admin: AsyncClient, url: str, path: str) -> list[str]:
    return [unescape(link) for link in re.findall(rf'href="([^"]*{path}[^"]*)"', (await admin.get(url)).text)]


def test_quoted_and_typed_keys_are_read_again() -> None:
    for key in (*TEXTS, str(UNIT)):
        assert unquote_key(quote_key(key)) == key
        assert re.fullmatch(KEY, quote_key(key)), "else uploads into inline rows would be ignored"
    assert [key for key in ("a?b", "a~b", "100%", "~zz") if unquote_key(key) != key] == []


async def test_pages_of_rows_with_special_keys_open(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, *(Part(code=code) for code in TEXTS))
    for page in ("details", "edit"):
        links = await read_links(admin, "/admin/part/list", f"/part/{page}/")
        assert len({*links}) == len(TEXTS)
        assert {(await admin.get(link)).status_code for link in links} == {200}


async def test_rows_with_special_keys_are_edited_and_deleted(app: FastAPI, admin: AsyncClient) -> None:
    for code in TEXTS[::2]:
        await add_rows(app, Part(code=code))
        (url,) = {*await read_links(admin, "/admin/part/list", "/part/edit/")}
        assert (await admin.post(url, data={"title": "new", "save": "Save"})).status_code == 303, code
        assert (await read_one(app, Part)).title == "new", code
        (history,) = await read_links(admin, url, "/part/history/")
        assert "new" in (await admin.get(history)).text, code
        (deletion,) = {*await read_links(admin, "/admin/part/list", "/part/delete")}
        assert (await admin.post(deletion, data={"confirmed": "1"})).status_code == 303, code
        assert await read_all(app, Part) == [], code


async def test_log_stores_the_key_itself(app: FastAPI, admin: AsyncClient) -> None:
    await admin.post("/admin/part/create", data={"code": "a/b?", "title": "", "save": "Save"})
    assert (await read_one(app, select(AuditEntry).where(col(AuditEntry.identity) == "part"))).row_id == "a/b?"
    (link,) = await read_links(admin, "/admin/audit-entry/list", "/part/history/")
    assert (await admin.get(link)).status_code == 200


async def test_selected_rows_may_have_commas_in_keys(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Part(code="a,b"), Part(code="a"), Part(code="b"))
    keys = re.findall(r'name="pk" value="([^"]*)"', (await admin.get("/admin/part/list")).text)
    page = await admin.post("/admin/part/delete", data={"pk": next(key for key in keys if len(key) > 1)})
    (pks,) = re.findall(r'name="pks" value="([^"]*)"', page.text)
    await admin.post("/admin/part/delete", data={"pks": unescape(pks), "confirmed": "1"})
    assert await read_all(app, select(col(Part.code)).order_by(col(Part.code))) == ["a", "b"]


@pytest.mark.parametrize(("length", "has_undo"), [(63, True), (64, False), (300, False)])
async def test_hashed_key_has_no_undo(app: FastAPI, admin: AsyncClient, length: int, has_undo: bool) -> None:
    code = "x" * length
    await add_rows(app, Part(code=code))
    url = f"/admin/part/cell/title/{code}"
    fields = hidden_fields((await admin.get(url)).text)
    page = (await admin.post(url, data=fields | {f"{code}-title": "new"})).text
    assert (await read_one(app, Part)).title == "new"
    assert ("/undo" in page) is has_undo


@pytest.mark.database("sqlite", "postgresql")
async def test_keys_may_be_zero_or_negative(app: FastAPI, admin: AsyncClient) -> None:
    for number, crate in ((0, "a"), (-1, "b")):
        await add_rows(app, Level(number=number), Crate(id=crate, level_number=number))
        url = f"/admin/level/edit/{number}"
        assert url in await read_links(admin, "/admin/level/list", "/level/edit/")
        assert (await admin.post(url, data={"title": "new", "save": "Save"})).status_code == 303, number
        assert (await read_one(app, select(Level).where(col(Level.number) == number))).title == "new"
        page = (await admin.get(f"/admin/crate/edit/{crate}")).text
        assert f'<option value="{number}" selected>' in page
        response = await admin.post(f"/admin/crate/edit/{crate}", data={"level_number": str(number), "save": "Save"})
        assert response.status_code == 303, number
        assert (await admin.get("/admin/crate/list?_facets=1")).status_code == 200, number


@pytest.mark.database("sqlite", "postgresql")
async def test_references_with_special_keys_are_imported(app: FastAPI, admin: AsyncClient) -> None:
    codes = [" a,b ", "a~41", "a?b"]
    await add_rows(app, *(Part(code=code) for code in codes), *(Crate(id=code, part_code=code) for code in codes))
    files = {format_: await admin.get(f"/admin/crate/export/{format_}") for format_ in ("csv", "json", "xlsx")}
    for number, (format_, file) in enumerate(files.items(), start=2):
        await confirm_preview(admin, await upload_file(admin, "/admin/crate/import", file.content, f"a.{format_}"))
        assert sorted(await read_all(app, select(col(Crate.part_code)))) == sorted(codes * number), format_


@pytest.mark.database("sqlite", "postgresql")
async def test_many_to_many_may_have_texts_and_uuids_as_keys(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, *(Part(code=code) for code in ("a,b", "a", "?")), Kit(id=UNIT))
    page = await admin.get("/admin/kit/ajax/lookup", params={"name": "parts", "term": "a,b"})
    keys = [row["id"] for row in page.json()["results"]]
    data = {"parts": [*keys, quote_key("?")], "save": "Save"}
    assert (await admin.post(f"/admin/kit/edit/{UNIT}", data=data)).status_code == 303
    assert await read_all(app, select(col(KitPart.code)).order_by(col(KitPart.code))) == ["?", "a,b"]
    selected = re.findall(r'<option value="([^"]+)" selected>', (await admin.get(f"/admin/kit/edit/{UNIT}")).text)
    assert {*map(unquote_key, selected)} == {"?", "a,b"}
    assert f"/kit/details/{UNIT}" in (await admin.get("/admin/kit/list", params={"parts": keys[0]})).text
    assert "a,b" in (await admin.get(f"/admin/kit/details/{UNIT}")).text


async def test_inline_rows_may_refer_to_a_text(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Part(code="a/b"), Part(code="b"), Note(part_code="a/b", body="old"))
    url, data = f"/admin/part/edit/{quote_key('a/b')}", {"title": "", "note-1-body": "changed", "save": "Save"}
    assert "old" in (await admin.get(url)).text
    assert (await admin.post(url, data={**data, "note-new0-body": "new"})).status_code == 303
    notes = await read_all(app, Note)
    assert [(note.part_code, note.body) for note in notes] == [("a/b", "changed"), ("a/b", "new")]


@pytest.mark.database("sqlite", "postgresql")
async def test_row_with_two_key_columns_is_edited(app: FastAPI, admin: AsyncClient) -> None:
    for deck in ("A", "sun;deck", "back\\;slash"):
        await add_rows(app, Cabin(deck=deck, number=1), Cabin(deck=deck, number=2))
        key = deck.replace("\\", "\\\\").replace(";", "\\;") + ";2"
        assert (await admin.post(f"/admin/cabin/edit/{quote(key)}", data={"beds": "3"})).status_code == 303, deck
        changed = select(Cabin).where(col(Cabin.deck) == deck, col(Cabin.beds) == 3)
        assert (await read_one(app, changed)).number == 2, deck


async def test_row_with_a_long_key_has_a_history(app: FastAPI, admin: AsyncClient) -> None:
    deck = "A" * 70
    await add_rows(app, *(Cabin(deck=deck, number=number, beds=1) for number in (1, 2)))
    for number, beds in ((1, 111), (2, 222)):
        await admin.post(f"/admin/cabin/edit/{deck};{number}", data={"beds": str(beds)})
    history = (await admin.get(f"/admin/cabin/history/{deck};1")).text
    assert ("111" in history, "222" in history) == (True, False)


async def test_impossible_key_is_not_found(admin: AsyncClient) -> None:
    for key in ("A", "A;one", "A;1;2", "\\"):
        assert (await admin.get(f"/admin/cabin/details/{quote(key)}")).status_code == 404, key


async def test_reference_to_no_row_is_refused(admin: AsyncClient) -> None:
    for kit, message in (("7", "Choose one from the list"), (str(UNIT), "The selected entry no longer exists.")):
        response = await admin.post("/admin/cabin/create", data={"deck": "A", "number": "1", "kit_id": kit})
        assert (response.status_code, message in response.text) == (400, True), kit


async def test_key_that_refers_to_another_row_is_chosen_once(app: FastAPI, admin: AsyncClient) -> None:
    await add_rows(app, Kit(id=UNIT))
    fields = {"kit_id": str(UNIT), "number": "1", "save": "Save"}
    assert (await admin.post("/admin/passport/create", data=fields)).status_code == 303
    assert (await admin.post(f"/admin/passport/edit/{UNIT}", data={"number": "2"})).status_code == 303
    assert (await read_one(app, Passport)).number == "2"
    assert "This value is already in use." in (await admin.post("/admin/passport/create", data=fields)).text
