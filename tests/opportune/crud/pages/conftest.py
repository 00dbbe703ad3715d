"""A site with the pages of the library, and clients of its users."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.accounts import User
from opportune.testing import signed_in_client
from tests.opportune.crud.library import BookStatus, Topic, Writer, volume
from tests.opportune.stored_rows import add_rows


@pytest.fixture
async def app(library_app: FastAPI) -> FastAPI:
    topics = [Topic(name="Love"), Topic(name="Money")]
    await add_rows(
        library_app,
        *(Writer(name="Jane <b>"), Writer(name="Nobody", is_hidden=True)),
        *(*topics, Topic(name="Hidden", is_hidden=True)),
        volume(title="Emma <b>", slug="emma", topics=topics),
        volume(title="Draft", slug="draft", status=BookStatus.DRAFT),
    )
    return library_app


@pytest.fixture
async def member(app: FastAPI, ann: User) -> AsyncIterator[AsyncClient]:
    async with signed_in_client(app, ann) as client:
        yield client
