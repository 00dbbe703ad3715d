"""Rows that tests store and read without the pages."""

from itertools import groupby
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Executable, delete, func, select
from sqlmodel import SQLModel, col

from opportune.accounts.models import Group, GroupPermission, User
from opportune.db import Database
from opportune.testing.factories import add_permission, make_user

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


async def read_all(site: Site, statement: Executable) -> list[Any]:
    async with _database(site).reader(fresh=True) as session:
        return list(await session.scalars(statement))


async def read_one(site: Site, statement: Executable) -> Any:
    (row,) = await read_all(site, statement)
    return row


async def count_rows(site: Site, model: type[SQLModel]) -> Any:
    return await read_one(site, select(func.count()).select_from(model))


async def get_row(site: Site, model: type[SQLModel], pk: object = 1) -> Any:
    async with _database(site).reader(fresh=True) as session:
        return await session.get_one(model, pk)


async def change_row(app: FastAPI, model: type[SQLModel], pk: object = 1, **values: Any) -> None:
    """Change a row like the site, with its hooks."""
    async with app.state.database.writer() as session:
        (await session.get_one(model, pk)).sqlmodel_update(values)


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
