"""Examples of docs/media.md."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.contrib.llm import FakeMedia, LlmError
from opportune.contrib.llm.media.fake import PIXEL
from opportune.feature import Feature
from opportune.features import llm
from tests.opportune.guides import code_blocks, read_guide, run_code

GUIDE = read_guide("media.md")


@pytest.fixture
def names() -> dict[str, Any]:
    return run_code(*code_blocks(GUIDE))


@pytest.fixture
async def app(settings: Settings, names: dict[str, Any]) -> FastAPI:
    return create_app(settings, [llm, Feature("media", "Media.", pages=[names["router"]])])


async def test_guide_test_passes(app: FastAPI, client: AsyncClient, names: dict[str, Any]) -> None:
    await names["test_a_recording_is_written_down"](app, client)


async def test_guide_makes_pictures_speech_and_rankings(app: FastAPI, client: AsyncClient) -> None:
    response = await client.get("/media/speech?text=Hello")
    assert response.status_code == 503
    assert "No model that reads texts aloud is set up." in response.text
    app.state.llm.media.provider = FakeMedia(speech=b"sound", scores=[0.1, 0.9, 0])
    assert (await client.get("/media/picture?about=a cat")).content == PIXEL
    assert (await client.get("/media/speech?text=Hello")).content == b"sound"
    assert (await client.get("/media/best?query=bakery")).json() == "Bread needs flour."
    app.state.llm.media.provider = FakeMedia(error=LlmError("timeout", "Too slow."))
    assert "Too slow." in (await client.get("/media/speech?text=Hello")).text
