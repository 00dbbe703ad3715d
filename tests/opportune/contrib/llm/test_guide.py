"""Examples of docs/llm.md."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.contrib.llm import FakeProvider
from opportune.feature import Feature, Jobs
from opportune.features import llm
from tests.opportune.guides import code_blocks, read_guide, run_code


@pytest.fixture
def names() -> dict[str, Any]:
    blocks = (code for code in code_blocks(read_guide("llm.md")) if "app.books" not in code)
    return run_code(*blocks)  # others: web/test_streaming.py


@pytest.fixture
async def app(settings: Settings, names: dict[str, Any]) -> FastAPI:
    texts = Feature("texts", "Texts.", pages=[names["router"], names["letters"]], jobs=Jobs([names["sum_up"]]))
    return create_app(settings, [llm, texts])


async def test_guide_test_passes(app: FastAPI, client: AsyncClient, names: dict[str, Any]) -> None:
    await names["test_a_summary_is_what_the_model_says"](app, client)


async def test_guide_reads_an_attachment(app: FastAPI, client: AsyncClient) -> None:
    app.state.llm.provider = model = FakeProvider("Kind.")
    response = await client.post("/letters/summary", files={"file": ("a.txt", b"word " * 1_000)})
    assert response.json().startswith("Kind. Only the first ")
    assert "word" in model.received[0][0].content
    assert (await client.post("/letters/summary", files={"file": ("a.bin", b"\0")})).status_code == 422


async def test_closing_early_stops_the_model(app: FastAPI, names: dict[str, Any]) -> None:
    app.state.llm.provider = model = FakeProvider("It is", asyncio.Event())
    assert await names["first_words"](app.state.llm, "Is it?") == "It is"
    assert model.stopped.is_set()


async def test_guide_script_opens_a_model(names: dict[str, Any], settings: Settings) -> None:
    names["get_settings"] = lambda: settings
    assert await names["ask_once"]("Is it?") == "A scripted answer."
