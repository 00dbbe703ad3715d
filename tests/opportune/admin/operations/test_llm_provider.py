"""The model that a superuser chooses in the browser."""

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select

from opportune.db.database import Database
from opportune.llm.answers.chosen_model import ChosenModel
from opportune.testing.factories import PASSWORD
from opportune.testing.quiet_app import quiet_app
from tests.opportune.admin.operations.pages import CONFIRM, on_sqlite
from tests.opportune.llm.providers.endpoint import DONE, EVENTS, STOP, event, response, serve_endpoint, text

PAGE = "/admin/llm/provider"
KEY = "sk-a-key-that-nobody-may-read-9876"
ANSWER = (EVENTS, text("Yes."), event(STOP), DONE)


@pytest.fixture
async def operator(app: FastAPI, admin: AsyncClient) -> AsyncClient:
    """A superuser who has just confirmed the password, on a site whose settings name no model."""
    llm = app.state.llm
    llm.follows_choice, llm.provider = True, None
    await admin.post(f"{CONFIRM}?next={PAGE}", data={"current_password": PASSWORD})
    return admin


def sent(address: str, key: str = KEY, model: str = "small") -> dict[str, str]:
    return {"provider": "other", "base_url": address, "api_key": key, "model": model}


async def asked(app: FastAPI) -> str:
    """What another process of the site is answered now."""
    other = quiet_app(app.state.settings).state
    other.llm.follows_choice, other.llm.provider = True, None
    await other.llm.refresh()
    try:
        answer: str = await other.llm.complete("Why?")
    finally:
        await other.llm.close()
        await other.database.dispose()
    return answer


@on_sqlite
async def test_a_model_is_tried_kept_sealed_used_by_all_processes_and_removed(
    app: FastAPI, operator: AsyncClient, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    overview = (await operator.get("/admin/")).text
    assert PAGE in overview
    assert 'href="/admin/llm"' in overview
    page = await operator.get(PAGE)
    assert page.status_code == 200
    assert "This site has no language model yet" in page.text
    assert "https://openrouter.ai/api/v1" in page.text

    async with serve_endpoint(*ANSWER) as endpoint:
        kept = await operator.post(PAGE, data=sent(endpoint.address))
        assert (kept.status_code, kept.headers["location"]) == (303, PAGE)
        assert f"Bearer {KEY}".encode().lower() in endpoint.headers[0].lower()
        assert await asked(app) == "Yes."
        assert await app.state.llm.complete("Why?") == "Yes."
        page = await operator.get(PAGE)
        assert "small at 127.0.0.1 now answers questions." in page.text
        assert "…9876" in page.text
        assert (await operator.post(PAGE, data=sent(endpoint.address, key="", model="large"))).status_code == 303
        assert KEY.encode() in endpoint.headers[-1], "the key that is kept"
        assert app.state.llm.name == "large"
    async with database.reader() as session:
        row = (await session.scalars(select(ChosenModel))).one()
    told = " ".join([page.text, caplog.text, row.sealed_key, str(row)])
    assert KEY not in told

    assert PAGE not in (await operator.get("/admin/")).text
    assert (await operator.post(PAGE, data={"remove": "true"})).status_code == 303
    assert app.state.llm.model is None
    async with database.reader() as session:
        assert (await session.scalars(select(ChosenModel))).all() == []


@on_sqlite
async def test_what_does_not_answer_is_not_kept_and_a_key_goes_to_no_other_address_and_not_in_the_open(
    operator: AsyncClient, database: Database
) -> None:
    for status, words in (
        ("401 Unauthorized", "refused the key."),
        ("404 Not Found", "The endpoint does not know this model."),
        ("500 Oops", "is not working at the moment."),
    ):
        async with serve_endpoint(response(status)) as endpoint:
            page = await operator.post(PAGE, data=sent(endpoint.address))
        assert page.status_code == 422, status
        assert words in page.text, status
        assert "LLM_" not in page.text, status
        assert KEY not in page.text, status
        async with database.reader() as session:
            assert (await session.scalars(select(ChosenModel))).all() == [], status

    refusals = {
        "Enter the address": sent("nowhere"),
        "enter the ADDRESS": sent("https://[llm.example.org/v1"),
        "Enter The Address": sent("https://llm.example.org:99999/v1"),
        "be sent unencrypted": sent("http://llm.example.org/v1"),
        "Enter the API key": {"provider": "openai", "model": "small"},
        "choose": {"provider": "unheard of", "model": "small"},
    }
    async with serve_endpoint(*ANSWER) as endpoint:
        await operator.post(PAGE, data=sent(endpoint.address))
        refusals["Enter the key again"] = {"provider": "openai", "model": "small"}
        del refusals["Enter the API key"]
        for words, data in refusals.items():
            page = await operator.post(PAGE, data=data)
            assert (page.status_code, words.lower() in page.text.lower()) == (422, True), words
        assert len(endpoint.headers) == 1


@on_sqlite
async def test_settings_win_and_the_page_says_so(operator: AsyncClient, app: FastAPI) -> None:
    app.state.settings = app.state.settings.model_copy(
        update={"llm_base_url": "https://llm.example.org/v1", "llm_model": "theirs"}
    )
    page = (await operator.get(PAGE)).text
    assert "The settings of the site define the models (theirs)" in page
    site = quiet_app(app.state.settings)
    assert not site.state.llm.follows_choice
    await site.state.database.dispose()


@on_sqlite
async def test_only_superusers_who_have_confirmed_choose(
    client: AsyncClient, staff_client: AsyncClient, superuser_client: AsyncClient
) -> None:
    for visitor, status in ((client, 303), (staff_client, 403), (superuser_client, 303)):
        for answer in (await visitor.get(PAGE), await visitor.post(PAGE, data=sent("https://llm.example.org"))):
            assert answer.status_code in (status, 303)
            assert answer.headers.get("location") != PAGE


@on_sqlite
async def test_a_key_that_cannot_be_read_any_more_is_asked_for_again(operator: AsyncClient, app: FastAPI) -> None:
    for column, value in (
        ("sealed_key", "of another SECRET_KEY"),
        ("base_url", "https://of-whoever-writes-into-the-database.example/v1"),
    ):
        async with serve_endpoint(*ANSWER) as endpoint:
            await operator.post(PAGE, data=sent(endpoint.address))
        async with app.state.database.writer() as session:
            setattr(await session.get(ChosenModel, "site"), column, value)
        assert "cannot be decrypted" in (await operator.get(PAGE)).text
        await app.state.llm.refresh(force=True)
        assert app.state.llm.model.api_key.get_secret_value() == ""


@on_sqlite
async def test_a_model_on_this_machine_that_wants_no_key_has_none_that_is_lost(operator: AsyncClient) -> None:
    async with serve_endpoint(*ANSWER) as endpoint:
        assert (await operator.post(PAGE, data=sent(endpoint.address, key=""))).status_code == 303
        page = (await operator.get(PAGE)).text
    assert "cannot be decrypted" not in page
    assert '<dd class="col-8">none</dd>' in page
    assert b"authorization" not in endpoint.headers[0].lower()
