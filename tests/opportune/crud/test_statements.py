"""Statements of lists, new rows, pages and the admin. Overridden methods that only call `super()` change none."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import wraps
from inspect import getattr_static, iscoroutinefunction, isfunction
from types import new_class
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import User
from opportune.admin import AdminView
from opportune.admin.log.recording import keeps_history
from opportune.admin.models import AuditEntry
from opportune.config.settings import Settings
from opportune.crud import Crud, CrudApi, CrudPages
from opportune.crud.registry import crud_classes
from opportune.db import Database, after_create
from opportune.db.hooks.change_origin import ChangeOrigin, changes_come_from
from opportune.db.hooks.registry import add_after_create, temporary_hooks
from opportune.db.sessions.insertion import insert_row, insert_rows
from opportune.errors import FieldErrors
from opportune.feature import Admin, Feature
from opportune.testing import add_permission, make_user, signed_in_client
from opportune.testing.statements import counted_statements
from tests.opportune.crud.api_feature import API, EMMA, app, database
from tests.opportune.crud.library import Note, Notes, Topic, Volumes, Writer
from tests.opportune.crud.shop_feature import Mark, Vendor, Vendors, Ware
from tests.opportune.crud.trash_feature import Tool
from tests.opportune.site_with import site_with

__all__ = ["app", "database"]  # fixtures: a site with the API of the library


Methods = Mapping[str, Any]


def override_all(base: type[Any]) -> Methods:
    """Return all public methods of a class. Each only calls the original."""

    def override(original: Any) -> Any:
        @wraps(original)  # with the marks of routes, actions and filters
        def method(self: Any, *args: Any, **options: Any) -> Any:
            return original(self, *args, **options)

        @wraps(original)
        async def async_method(self: Any, *args: Any, **options: Any) -> Any:
            return await original(self, *args, **options)

        return async_method if iscoroutinefunction(original) else method

    members = {name: getattr_static(base, name) for name in dir(base) if not name.startswith("_")}
    return {name: override(member) for name, member in members.items() if isfunction(member)}


def with_overrides(class_: type[Any]) -> type[Any]:
    """Return a subclass that overrides all methods. Each only calls the original."""
    registered = dict(crud_classes)
    subclass = type(class_.__name__, (class_,), dict(override_all(class_)))
    crud_classes.update(registered)  # other classes still use the original one
    return subclass


async def record_acts(database: Database, user: User, crud_class: Any, api_class: Any, values: Any) -> list[str]:
    """Return the statements of a list and of a new row, as the API runs them."""
    api = api_class(crud_class, "/rows")
    query = crud_class.Filter(q="a", size=5)
    with counted_statements("library_") as statements:
        async with database.reader() as session:
            await api.list(crud_class(session, user), query)
            await crud_class(session, user).list(query)
        async with database.writer() as session:
            crud = crud_class(session, user)
            await api.create(crud, crud.validated(crud_class.Create, values))
            await session.rollback()
    return [re.sub(r"%\(\w+\)s", "?", statement) for statement in statements]  # names of parameters may differ


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(("crud_class", "values"), [(Notes, {"text": "A note"}), (Volumes, EMMA | {"topics": []})])
async def test_overrides_do_not_change_statements(
    database: Database, superuser: User, crud_class: type[Crud[Any]], values: Mapping[str, Any]
) -> None:
    expected = await record_acts(database, superuser, crud_class, CrudApi, values)
    assert len([statement for statement in expected if statement.startswith("INSERT INTO library")]) == 1
    crud_with_overrides, api_with_overrides = with_overrides(crud_class), with_overrides(CrudApi)
    assert await record_acts(database, superuser, crud_with_overrides, api_with_overrides, values) == expected


@pytest.mark.database("sqlite", "postgresql")
async def test_new_row_needs_one_insert(librarian: AsyncClient) -> None:
    with counted_statements("library_") as statements:
        added = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert (added.status_code, added.json()["text"]) == (201, "A note")
    assert [statement.split(" (")[0] for statement in statements if "note" in statement] == ["INSERT INTO library_note"]
    assert (await librarian.get(f"{API}/notes/{added.json()['id']}")).json() == added.json()


async def test_inserted_row_belongs_to_the_session(database: Database, ann: User) -> None:
    async with database.writer() as session:
        await insert_row(session, note := Note(owner_id=ann.id, text="One"))
        note.text = "Two"
    async with database.reader() as session:
        assert await session.scalar(select(col(Note.text)).where(col(Note.id) == note.id)) == "Two"


async def test_id_of_a_rolled_back_row_is_used_again(database: Database) -> None:
    async with database.writer() as session:
        savepoint = await session.begin_nested()
        await insert_row(session, refused := Topic(name="One"))
        await savepoint.rollback()
        await insert_row(session, added := Topic(name="Two"))
        assert added in session
        assert refused not in session


async def test_several_rows_need_one_insert(database: Database) -> None:
    async with database.writer() as session:
        with counted_statements("library_") as statements:
            await insert_rows(session, [Topic(name="One"), Topic(name="Two")])
    assert len([statement for statement in statements if statement.startswith("INSERT")]) == 1


async def test_new_row_is_recorded_in_the_audit_log(librarian: AsyncClient, database: Database, ann: User) -> None:
    added = (await librarian.post(f"{API}/notes", json={"text": "A note"})).json()
    (entry,) = await read_audit_entries(database)
    assert (entry.actor_id, entry.actor, entry.channel, entry.address) == (ann.id, ann.email, "api", "127.0.0.1")
    assert (entry.action, entry.identity, entry.row_id) == ("create", "note", str(added["id"]))
    assert entry.title == f"Note {added['id']}"


async def add_note(database: Database, user: User, *, is_by_hand: bool) -> None:
    """Add a note by the data layer, or by hand."""
    with changes_come_from(ChangeOrigin("api")):
        async with database.writer() as session:
            if is_by_hand:
                session.add(Note(owner_id=user.id, text="A note"))
            else:
                await Notes(session, user).create({"text": "A note"})


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize("is_by_hand", [False, True])
async def test_no_row_is_stored_without_its_audit_entry(database: Database, ann: User, is_by_hand: bool) -> None:
    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("INSERT INTO admin_audit_entry"):
            raise ConnectionError

    with database.listened_to_by({"before_cursor_execute": fail}), pytest.raises(ConnectionError):
        await add_note(database, ann, is_by_hand=is_by_hand)
    async with database.reader(fresh=True) as session:
        assert (await session.scalars(select(Note))).all() == []


@pytest.mark.database("sqlite", "postgresql")
async def test_new_row_is_rolled_back_with_its_hooks(librarian: AsyncClient, database: Database) -> None:
    with temporary_hooks():

        @add_after_create(Note, Topic)
        def existing_topic(_note: Note) -> Mapping[str, Any]:
            return {"name": "Love", "is_hidden": False}

        refused = await librarian.post(f"{API}/notes", json={"text": "A note"})
    assert refused.status_code == 422
    assert (await librarian.get(f"{API}/notes")).json()["items"] == []
    assert await read_audit_entries(database) == []
    assert (await librarian.post(f"{API}/notes", json={"text": "A note"})).status_code == 201


@pytest.mark.parametrize(("model", "is_recorded"), [(Note, True), (Writer, False), (Tool, True), (User, False)])
def test_models_choose_to_keep_history(model: type[Any], is_recorded: bool) -> None:
    assert keeps_history(model) is is_recorded


async def read_audit_entries(database: Database) -> list[AuditEntry]:
    async with database.reader(fresh=True) as session:
        return list(await session.scalars(select(AuditEntry).order_by(col(AuditEntry.id))))


@pytest.mark.database("sqlite", "postgresql")
async def test_insert_reports_constraint_errors_by_field(librarian: AsyncClient, database: Database, ann: User) -> None:
    await add_permission(database, ann, "writer", "*")
    for name in ("One", "Two"):  # PostgreSQL's sequence does not know that these ids exist
        await librarian.post(f"{API}/writers", json={"name": name})
    for _ in range(2):
        refused = await librarian.post(f"{API}/writers", json={"name": "Jane Austen"})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, ["name"])
    added = await librarian.post(f"{API}/writers", json={"name": "Emily Brontë"})
    assert added.status_code == 201
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # defined by QueuePool


async def test_hook_can_refuse_a_new_row(librarian: AsyncClient, database: Database, ann: User) -> None:
    await add_permission(database, ann, "writer", "*")
    with temporary_hooks():

        @after_create(Writer)
        async def refuse(_session: AsyncSession, writer: Writer) -> None:
            raise FieldErrors({"name": f"Not {writer.name}."})

        assert (await librarian.post(f"{API}/writers", json={"name": "Anonymous"})).status_code == 422
    assert len((await librarian.get(f"{API}/writers")).json()["items"]) == 2


READ = ("/vendors?q=a", "/vendors/{id}", "/vendors/new", "/admin/vendor/list?search=a", "/admin/vendor/details/{id}")
WRITTEN = ("/vendors/new", "/vendors/{id}/edit", "/admin/vendor/create", "/admin/vendor/edit/{id}")


async def record_page_acts(
    shop: Feature, settings: Settings, page_methods: Methods, admin_methods: Methods
) -> list[str]:
    """Return the statements of reading and writing rows on the pages and in the admin."""
    pages: Any = type("VendorPages", (CrudPages,), {**page_methods})
    options = {**admin_methods, "crud": Vendors, "column_searchable_list": ("name",)}
    view: Any = new_class("VendorAdmin", (AdminView,), {"model": Vendor}, lambda namespace: namespace.update(options))
    shop = replace(shop, pages=pages(Vendors, "/vendors").router, admin=Admin([view]))
    async with site_with(shop, settings) as app:
        superuser = await make_user(app.state.database, is_superuser=True)
        async with app.state.database.writer() as session:
            session.add(vendor := Vendor(name="Acme", region="Atlantis"))
        async with signed_in_client(app, superuser) as client:
            with counted_statements("shop_") as statements:
                for path in READ:
                    assert (await client.get(path.format(id=vendor.id))).status_code == 200
                for path in WRITTEN:
                    response = await client.post(path.format(id=vendor.id), data={"name": path, "region": "Utopia"})
                    assert response.status_code == 303, response.text
    return [re.sub(r"%\(\w+\)s", "?", statement) for statement in statements]  # names of parameters may differ


async def test_overrides_of_pages_do_not_change_statements(settings: Settings) -> None:
    expected = await record_page_acts(Feature("shop", models=[Vendor, Mark, Ware]), settings, {}, {})
    assert len([statement for statement in expected if statement.startswith("INSERT")]) == 2
    feature = Feature("shop")  # its tables exist
    actual = await record_page_acts(feature, settings, override_all(CrudPages), override_all(AdminView))
    assert actual == expected
