"""The page for choosing a language model."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import select, update

from opportune.contrib.answers.chosen_model import ChosenModel
from opportune.testing.app import create_test_app
from opportune.testing.factories import PASSWORD
from tests.opportune.contrib.llm.providers.endpoint import response, serve_endpoint
from tests.opportune.contrib.llm.providers.event_stream import DONE, EVENTS, STOP, event, text
from tests.opportune.contrib.operations.pages import CONFIRM
from tests.opportune.stored_rows import execute, read_all, read_one

PAGE = "/admin/llm/provider"
API_KEY = "sk-secret-key-of-the-endpoint-9876"
ANSWER_EVENTS = (EVENTS, text("Yes."), event(STOP), DONE)


@pytest.fixture
async def operator(app: FastAPI, admin: AsyncClient) -> AsyncClient:
    """Client of a superuser who has just confirmed the password, on a site without a model in its settings."""
    llm = app.state.llm
    llm.follows_choice, llm.provider = True, None
    await admin.post(f"{CONFIRM}?next={PAGE}", data={"current_password": PASSWORD})
    return admin


def make_form(address: str, key: str = API_KEY, model: str = "small") -> dict[str, str]:
    return {"provider": "other", "base_url": address, "api_key": key, "model": model}


async def ask_other_process(app: FastAPI) -> str:
    """Ask the model that another process of the site uses."""
    state = create_test_app(app.state.settings).state
    state.llm.follows_choice, state.llm.provider = True, None
    await state.llm.refresh()
    try:
        answer: str = await state.llm.complete("Why?")
    finally:
        await state.llm.close()
        await state.database.dispose()
    return answer


async def test_working_model_is_stored_encrypted_and_removable(
    app: FastAPI, operator: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    overview = (await operator.get("/admin/")).text
    assert PAGE in overview
    assert 'href="/admin/llm"' in overview
    page = await operator.get(PAGE)
    assert page.status_code == 200
    assert "This site has no language model yet" in page.text
    assert "https://openrouter.ai/api/v1" in page.text
    async with serve_endpoint(*ANSWER_EVENTS) as endpoint:
        saved = await operator.post(PAGE, data=make_form(endpoint.address))
        assert (saved.status_code, saved.headers["location"]) == (303, PAGE)
        assert f"Bearer {API_KEY}".encode().lower() in endpoint.headers[0].lower()
        assert await ask_other_process(app) == "Yes."
        assert await app.state.llm.complete("Why?") == "Yes."
        page = await operator.get(PAGE)
        assert "small at 127.0.0.1 now answers questions." in page.text
        assert "…9876" in page.text
        assert (await operator.post(PAGE, data=make_form(endpoint.address, key="", model="large"))).status_code == 303
        assert API_KEY.encode() in endpoint.headers[-1], "uses the stored key"
        assert app.state.llm.name == "large"
    row = await read_one(app, select(ChosenModel))
    assert API_KEY not in " ".join([page.text, caplog.text, row.sealed_key, str(row)])
    assert PAGE not in (await operator.get("/admin/")).text
    assert (await operator.post(PAGE, data={"remove": "true"})).status_code == 303
    assert app.state.llm.model is None
    assert await read_all(app, select(ChosenModel)) == []


async def test_failing_model_is_not_stored(app: FastAPI, operator: AsyncClient) -> None:
    for status, message in (("401 Unauthorized", "refused the key."), ("500 Oops", "is not working at the moment.")):
        async with serve_endpoint(response(status)) as endpoint:
            page = await operator.post(PAGE, data=make_form(endpoint.address))
        assert page.status_code == 422, status
        assert message in page.text, status
        assert "LLM_" not in page.text, status
        assert API_KEY not in page.text, status
        assert await read_all(app, select(ChosenModel)) == [], status


async def test_key_is_not_sent_to_a_new_or_invalid_address(operator: AsyncClient) -> None:
    refusals = {
        "Enter the address": make_form("nowhere"),
        "enter the ADDRESS": make_form("https://[llm.example.org/v1"),
        "Enter The Address": make_form("https://llm.example.org:99999/v1"),
        "be sent unencrypted": make_form("http://llm.example.org/v1"),
        "Enter the key again": {"provider": "openai", "model": "small"},
        "choose": {"provider": "unheard of", "model": "small"},
    }
    async with serve_endpoint(*ANSWER_EVENTS) as endpoint:
        await operator.post(PAGE, data=make_form(endpoint.address))
        for message, data in refusals.items():
            page = await operator.post(PAGE, data=data)
            assert (page.status_code, message.lower() in page.text.lower()) == (422, True), message
        assert len(endpoint.headers) == 1


async def test_settings_override_the_chosen_model(operator: AsyncClient, app: FastAPI) -> None:
    changes = {"llm_base_url": "https://llm.example.org/v1", "llm_model": "theirs"}
    app.state.settings = app.state.settings.model_copy(update=changes)
    assert "The settings of the site define the models (theirs)" in (await operator.get(PAGE)).text
    site = create_test_app(app.state.settings)
    assert not site.state.llm.follows_choice
    await site.state.database.dispose()


async def test_page_needs_a_superuser_with_confirmed_password(
    client: AsyncClient, staff_client: AsyncClient, superuser_client: AsyncClient
) -> None:
    for visitor, status in ((client, 303), (staff_client, 403), (superuser_client, 303)):
        for response_ in (await visitor.get(PAGE), await visitor.post(PAGE, data=make_form("https://llm.example.org"))):
            assert response_.status_code in (status, 303)
            assert response_.headers.get("location") != PAGE


async def test_undecryptable_key_must_be_entered_again(operator: AsyncClient, app: FastAPI) -> None:
    for column, value in (("sealed_key", "of another SECRET_KEY"), ("base_url", "https://changed.example/v1")):
        async with serve_endpoint(*ANSWER_EVENTS) as endpoint:
            await operator.post(PAGE, data=make_form(endpoint.address))
        await execute(app, update(ChosenModel).values({column: value}))
        assert "cannot be decrypted" in (await operator.get(PAGE)).text
        await app.state.llm.refresh(force=True)
        assert app.state.llm.model.api_key.get_secret_value() == ""
