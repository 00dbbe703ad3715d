from typing import Any

import pytest

from opportune.llm import LanguageModel, Message, Picture, estimate_tokens
from opportune.llm.providers.provider import PICTURE_TOKENS, UNSEEN_PICTURE
from tests.opportune.llm.providers.endpoint import DONE, EVENTS, text
from tests.opportune.llm.providers.model_answers import provider_of

ASKED = Message("user", "What is it?", pictures=(Picture(b"drawn"), Picture(b"png", "image/png")))


@pytest.mark.parametrize("sees", [True, False])
async def test_pictures_need_vision(sees: bool) -> None:
    async with provider_of(EVENTS, text("A cat."), DONE) as (provider, endpoint):
        provider.sees_images = sees
        assert await LanguageModel(lambda: provider).complete([ASKED], system="Look.", temperature=0.5) == "A cat."
    body: Any = endpoint.bodies[0]
    assert (body["messages"][0]["content"], body["temperature"]) == ("Look.", 0.5)
    content = body["messages"][1]["content"]
    if sees:
        urls = [part["image_url"]["url"] for part in content[1:]]
        assert content[0] == {"type": "text", "text": "What is it?"}
        assert urls == ["data:image/jpeg;base64,ZHJhd24=", "data:image/png;base64,cG5n"]
    else:
        assert content == f"What is it?\n\n{UNSEEN_PICTURE}\n\n{UNSEEN_PICTURE}"


def test_pictures_count_as_tokens() -> None:
    assert estimate_tokens(ASKED) == estimate_tokens("What is it?") + 2 * PICTURE_TOKENS
