"""The examples of docs/agents-and-steps.md, with a restart in the middle."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import MetaData, select
from sqlmodel import Field, SQLModel

from opportune.contrib.llm import Done, FakeProvider, ToolCall
from opportune.contrib.tools import Toolbox
from tests.opportune.contrib.answers.waiting_answers import StartManager, wait_for_tasks
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.stored_rows import read_one

GUIDE = read_guide("agents-and-steps.md")
BLOCKS = code_blocks(GUIDE)


class Table(SQLModel):
    # Separate from the project's tables, which migrations create.
    metadata = MetaData()

    id: int = Field(default=None, primary_key=True)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    code = next(block for block in BLOCKS if "class Page" in block).replace("OwnerId\n    title", "int\n    title")
    return run_code(code.replace("(Model, table=True)", "(Table, table=True)"), Table=Table, __name__=__name__)


def call(name: str, arguments: str) -> Done:
    return Done(10, 5, tool_calls=(ToolCall(name, name, arguments),))


@pytest.fixture
def writer(app: FastAPI) -> FakeProvider:
    """A model that follows the plan. The model of the site writes the sections in the job."""
    app.state.llm.provider = FakeProvider.in_turn(["They dance."], ["They make wax."])
    return FakeProvider.in_turn(
        ["I search, ask and write. ", call("search_documents", '{"words": "bees"}')],
        [call("ask_audience", '{"question": "For whom is the page?"}')],
        [call("write_page", '{"title": "Bees", "headings": ["Dance", "Wax"], "notes": "Bees dance [1]."}')],
        [call("publish_page", '{"page": 1}')],
        ["The page is public [1]."],
    )


@pytest.fixture
async def client(app: FastAPI, names: dict[str, Any], user_client: AsyncClient) -> AsyncIterator[AsyncClient]:
    async with app.state.database.engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    app.include_router(names["router"])
    yield user_client
    async with app.state.database.engine.begin() as connection:
        await connection.run_sync(Table.metadata.drop_all)


async def test_page_is_researched_written_and_published(
    app: FastAPI, client: AsyncClient, writer: FakeProvider, names: dict[str, Any], start_manager: StartManager
) -> None:
    manager = start_manager(writer, Toolbox(app, names["tools"]))
    path = (await client.post("/research", data={"topic": "Write about bees."})).headers["location"]
    await wait_for_tasks(manager)
    assert "For whom is the page?" in (await client.get(path)).text
    await manager.engine.close()
    manager = start_manager(writer, Toolbox(app, names["tools"]))  # while the answer waits for the user
    assert (await client.post(f"{path}/reply/0")).status_code == 303
    assert (await client.post(f"{path}/reply/1", data={"readers": "experts"})).status_code == 303
    await wait_for_tasks(manager)
    await manager.engine.close()
    await app.state.jobs.worker.drain()  # the job writes the page while no site runs
    manager = start_manager(writer, Toolbox(app, names["tools"]))
    await manager.engine.continue_released()
    await wait_for_tasks(manager)
    assert "Allow this action? Publish a page" in (await client.get(path)).text
    assert (await client.post(f"{path}/approve", data={"call": 3})).status_code == 303
    await wait_for_tasks(manager)
    assert "The page is public" in (await client.get(path)).text
    page = await read_one(app, select(names["Page"]))
    assert (page.text, page.is_published) == ("## Dance\n\nThey dance.\n\n## Wax\n\nThey make wax.", True)
    assert len(app.state.llm.provider.received) == 2
