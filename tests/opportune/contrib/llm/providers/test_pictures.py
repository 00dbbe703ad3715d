"""Pictures in a question, for models with and without vision."""

from typing import Any

import pytest

from opportune.contrib.llm import LanguageModel, Message, Picture, estimate_tokens
from opportune.contrib.llm.providers.provider import PICTURE_TOKENS, UNSEEN_PICTURE
from tests.opportune.contrib.llm.providers.endpoint import DONE, EVENTS, text
from tests.opportune.contrib.llm.providers.model_answers import serve_provider

QUESTION = Message("user", "What is it?", pictures=(Picture(b"drawn"), Picture(b"png", "image/png")))


@pytest.mark.parametrize("sees_images", [True, False])
async def test_pictures_need_vision(sees_images: bool) -> None:
    async with serve_provider(EVENTS, text("A cat."), DONE) as (provider, endpoint):
        provider.sees_images = sees_images
        assert await LanguageModel(lambda: provider).complete([QUESTION], system="Look.", temperature=0.5) == "A cat."
    body: Any = endpoint.bodies[0]
    assert (body["messages"][0]["content"], body["temperature"]) == ("Look.", 0.5)
    content = body["messages"][1]["content"]
    if sees_images:
        urls = [part["image_url"]["url"] for part in content[1:]]
        assert content[0] == {"type": "text", "text": "What is it?"}
        assert urls == ["data:image/jpeg;base64,ZHJhd24=", "data:image/png;base64,cG5n"]
    else:
        assert content == f"What is it?\n\n{UNSEEN_PICTURE}\n\n{UNSEEN_PICTURE}"


def test_pictures_count_as_tokens() -> None:
    assert estimate_tokens(QUESTION) == estimate_tokens("What is it?") + 2 * PICTURE_TOKENS
