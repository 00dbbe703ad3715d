"""Rows that tests store and read without the pages."""

from itertools import groupby
from typing import Any, TypeVar, cast

from fastapi import FastAPI
from sqlalchemy import Executable, delete, func, inspect, select, text, update
from sqlmodel import SQLModel, col

from opportune.accounts.models import Group, GroupPermission, User
from opportune.admin.models import AuditEntry
from opportune.db import Database
from opportune.testing.factories import add_permission, make_user

M = TypeVar("M", bound=SQLModel)
Site = FastAPI | Database
"""The application or its database."""


def _database(site: Site) -> Database:
    return site if isinstance(site, Database) else site.state.database


async def add_rows(site: Site, *rows: SQLModel) -> None:
    """Store rows in this order and in one transaction."""
    async with _database(site).writer() as session:
        for _, rows_of_model in groupby(rows, type):
            session.add_all(rows_of_model)
            await session.flush()


async def execute(site: Site, statement: Executable) -> None:
    async with _database(site).writer() as session:
        await session.execute(statement)


async def read_all(site: Site, query: Executable | type[SQLModel], /, **values: Any) -> list[Any]:
    """Return the result of a statement, or the rows of a model with these values, oldest first."""
    if isinstance(query, type):
        query = select(query).filter_by(**values).order_by(*inspect(query).primary_key)
    async with _database(site).reader(fresh=True) as session:
        return list(await session.scalars(query))


async def read_logged_actions(site: Site) -> list[str]:
    """Return the actions in the audit log of the admin, oldest first."""
    return await read_all(site, select(col(AuditEntry.action)).order_by(col(AuditEntry.id)))


async def read_one(site: Site, query: Executable | type[SQLModel], /, **values: Any) -> Any:
    """Return the only row or value."""
    (row,) = await read_all(site, query, **values)
    return row


async def count(site: Site, model: type[SQLModel], /, **values: Any) -> int:
    return int(await read_one(site, select(func.count()).select_from(model).filter_by(**values)))


async def get_row(site: Site, model: type[SQLModel], pk: object = 1) -> Any:
    async with _database(site).reader(fresh=True) as session:
        return await session.get_one(model, pk)


async def reload(site: Site, row: M) -> M:
    return cast(M, await get_row(site, type(row), inspect(row).identity))


async def change_row(site: Site, model: type[SQLModel], pk: object = 1, /, **values: Any) -> None:
    """Change a row like the site, with its hooks."""
    async with _database(site).writer() as session:
        (await session.get_one(model, pk)).sqlmodel_update(values)


async def change(site: Site, row: SQLModel, /, **values: Any) -> None:
    await change_row(site, type(row), inspect(row).identity, **values)


async def set_all(site: Site, model: type[SQLModel], /, **values: Any) -> None:
    """Set values of all rows by a statement, which runs no hooks."""
    await execute(site, update(model).values(**values))


async def delete_row(site: Site, row: SQLModel) -> None:
    """Delete a row like the site, with its hooks."""
    async with _database(site).writer() as session:
        await session.delete(await session.get_one(type(row), inspect(row).identity))


async def has_waiting_lock(database: Database) -> bool:
    """Return whether a transaction of PostgreSQL waits for a lock."""
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    return bool(await read_one(database, text(query)))


async def make_staff(app: FastAPI, *permissions: str) -> User:
    """Store a staff user with permissions, such as `book.list`."""
    staff = await make_user(app.state.database, is_staff=True)
    for permission in permissions:
        await add_permission(app.state.database, staff, *permission.split("."))
    return staff


async def set_permissions(app: FastAPI, group: Group, *permissions: str) -> None:
    """Give only these permissions to a group."""
    await execute(app, delete(GroupPermission).where(col(GroupPermission.group_id) == group.id))
    pairs = (permission.split(".") for permission in permissions)
    await add_rows(app, *(GroupPermission(group_id=group.id, identity=name, action=action) for name, action in pairs))
