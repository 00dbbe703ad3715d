"""A site with the pages of the library, and clients of its users."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts import User
from opportune.testing import signed_in_client
from tests.opportune.crud.library import BookStatus, Topic, Writer, volume


@pytest.fixture
async def app(library_app: FastAPI) -> FastAPI:
    async with library_app.state.database.writer() as session:
        session.add_all([Writer(id=1, name="Jane <b>"), Writer(id=2, name="Nobody", is_hidden=True)])
        session.add_all(
            [Topic(id=1, name="Love"), Topic(id=2, name="Money"), Topic(id=3, name="Hidden", is_hidden=True)]
        )
        await session.flush()
        topics = list(await session.scalars(select(Topic).where(col(Topic.id) < 3)))
        emma = volume(id=1, title="Emma <b>", slug="emma", topics=topics)
        session.add_all([emma, volume(id=2, title="Draft", slug="draft", status=BookStatus.DRAFT)])
    return library_app


@pytest.fixture
async def member(app: FastAPI, ann: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, ann) as client:
        yield client
