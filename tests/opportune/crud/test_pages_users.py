"""Pages of rows that refer to users. They do not reveal e-mail addresses."""

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlmodel import Field, Relationship

from opportune.accounts import User
from opportune.crud import Crud, CrudApi, CrudPages, Permission
from opportune.feature import Feature
from opportune.testing import make_user, signed_in_client
from tests.opportune.crud.library import user_key
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows
from tests.opportune.tables import UnmigratedTable


class Letter(UnmigratedTable, table=True):
    __tablename__ = "library_letter"

    subject: str = Field(max_length=80, title="About")
    user_id: int = Field(sa_column=user_key(), title="Writer")

    user: User = Relationship()


class Letters(Crud[Letter]):
    """Any user may write a letter in the name of a user."""

    default = True
    read_permission = Permission.ANYONE
    write_permission = Permission.SIGNED_IN
    write_fields = ("subject", "user_id")
    filters = ("user", "subject")


class Wishes(Crud[Letter]):
    write_permission = Permission.ANYONE
    write_fields = ("subject", "user_id")


pages = [
    CrudPages(Letters, "/letters", columns=("subject", "user"), fields=("user",)).router,
    CrudPages(Wishes, "/wishes").router,
]
letters = Feature("letters", models=[Letter], pages=pages, api=CrudApi(Letters, "/letters").router)
LETTERS = "/api/v1/letters"
CHOICES = "/wishes/new/choices?name=user_id"
PAGES = {"/letters": 200, "/letters/new": 303, "/wishes": 303, "/wishes/new": 200, CHOICES: 200}
app = site_fixture(letters)


@pytest.fixture
async def letter(app: FastAPI) -> Letter:
    ann = await make_user(app.state.database, "ann@example.org", display_name="Ann")
    await add_rows(app, letter := Letter(subject="Bees", user_id=ann.id))
    return letter


async def test_pages_name_users(app: FastAPI, client: AsyncClient, letter: Letter, bob: User) -> None:
    page = (await client.get(f"/letters/{letter.id}")).text
    assert ("Ann" in page, "ann@example.org" in page) == (True, False)
    await add_rows(app, Letter(subject="Wasps", user_id=bob.id))
    assert f">User {bob.id}</td>" in (await client.get("/letters")).text


async def test_only_writers_can_choose_other_users(app: FastAPI, client: AsyncClient, letter: Letter) -> None:
    choices = "/letters/new/choices?name=user"
    assert (await client.get(choices)).json() == {"results": []}
    assert "Ann</option>" not in (await client.get("/letters")).text
    bob = await make_user(app.state.database, "bob@example.org", display_name="Bob")
    async with signed_in_client(app, bob) as reader:
        assert (await reader.get(choices)).json() == {"results": [{"id": str(bob.id), "text": "Bob"}]}
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as superuser:
        assert "Ann" in (await superuser.get(choices)).text
        assert "example.org" not in (await superuser.get("/letters")).text


@pytest.fixture
async def bob(app: FastAPI) -> User:
    return await make_user(app.state.database, "bob@example.org")


async def test_only_superusers_choose_other_users(app: FastAPI, bob: User, letter: Letter) -> None:
    async with signed_in_client(app, bob) as browser:
        letters = [{"subject": "Honey", "user_id": number} for number in (bob.id, letter.user_id, 999)]
        for_bob, for_ann, for_missing = [await browser.post(LETTERS, json=letter) for letter in letters]
    assert (for_bob.status_code, for_ann.status_code) == (201, 422)
    errors = for_ann.json()["errors"], for_missing.json()["errors"]
    assert errors[0] == errors[1], "the response reveals which accounts exist"
    async with signed_in_client(app, await make_user(app.state.database, is_superuser=True)) as superuser:
        body = {"subject": "Honey", "user_id": letter.user_id}
        assert (await superuser.post(LETTERS, json=body)).status_code == 201


async def test_stored_user_stays_when_others_change_the_row(app: FastAPI, bob: User, letter: Letter) -> None:
    async with signed_in_client(app, bob) as browser:
        body = {"subject": "Wax", "user_id": letter.user_id}
        changed = await browser.patch(f"{LETTERS}/{letter.id}", json=body)
    assert (changed.status_code, changed.json()["user_id"]) == (200, letter.user_id)


async def test_action_decides_who_signs_in(app: FastAPI, client: AsyncClient, bob: User) -> None:
    app.state.settings = app.state.settings.model_copy(update={"needs_second_factor": "all"})
    async with signed_in_client(app, bob) as browser:  # without a second factor
        for visitor in (client, browser):
            assert {path: (await visitor.get(path)).status_code for path in PAGES} == PAGES
