"""Pages of a model by permission."""

from collections.abc import Iterable

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import update
from sqlmodel import col

from opportune.accounts.models import Group, User
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.testing.factories import add_permission, make_user, signed_in_client
from tests.opportune.admin.gadget_feature import Gadget, gadgets, make_makers
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows, execute, set_permissions

REQUESTS_BY_ACTION = {
    "list": {"GET gadget/list"},
    "get": {"GET gadget/details/1", "GET gadget/history/1"},
    "create": {"GET gadget/create", "POST gadget/create"},
    "update": {"GET gadget/edit/1", "POST gadget/edit/1"},
    "delete": {"GET gadget/delete?pks=1", "POST gadget/delete?pks=1"},
    "export": {"GET gadget/export/csv", "GET gadget/export/json"},
    "action:polish": {"POST gadget/action/polish?pks=1"},
}
ALL_REQUESTS = set().union(*REQUESTS_BY_ACTION.values())
LOOKUP_REQUEST = "GET gadget/ajax/lookup?name=maker_id&term=Acme"
BUTTONS = {
    "list": 'href="/admin/gadget/list"',
    "get": "/admin/gadget/details/1",
    "create": "/admin/gadget/create",
    "update": "/admin/gadget/edit/1",
    "delete": "/admin/gadget/delete",
    "export": "/admin/gadget/export/csv",
    "action:polish": "/admin/gadget/action/polish",
}
app = site_fixture(gadgets, make_makers)


@pytest.fixture
async def staff(app: FastAPI) -> User:
    await add_rows(app, Gadget(name="Anvil", maker_id=1))
    return await make_user(app.state.database, "staff@example.com", is_staff=True)


@pytest.fixture
async def group(app: FastAPI, staff: User) -> Group:
    return await add_permission(app.state.database, staff, "nothing", "list")


@pytest.fixture
def client(group: Group, staff_client: AsyncClient) -> AsyncClient:
    return staff_client


async def send_request(client: AsyncClient, request: str) -> Response:
    method, path = request.split()
    return await client.request(method, f"/admin/{path}")


async def find_allowed_requests(client: AsyncClient, requests: Iterable[str]) -> set[str]:
    """Return the requests that are not refused."""
    responses = {request: (await send_request(client, request)).status_code for request in requests}
    assert set(responses.values()) <= {200, 303, 400, 403, 409}, responses
    return {request for request, status in responses.items() if status != 403}


async def test_permission_opens_only_its_addresses(app: FastAPI, client: AsyncClient, group: Group) -> None:
    for action, requests in REQUESTS_BY_ACTION.items():
        await set_permissions(app, group, f"gadget.{action}")
        assert await find_allowed_requests(client, ALL_REQUESTS) == requests, action


async def test_wildcard_permissions_all_actions_or_models(app: FastAPI, client: AsyncClient, group: Group) -> None:
    await set_permissions(app, group, "*.list")
    assert await find_allowed_requests(client, ALL_REQUESTS) == {"GET gadget/list"}
    await set_permissions(app, group, "gadget.*")
    assert await find_allowed_requests(client, ALL_REQUESTS) == ALL_REQUESTS
    others = [f"GET {name}/{page}" for name in ("maker", "user", "group") for page in ("list", "create", "export/csv")]
    assert await find_allowed_requests(client, others) == set()
    await set_permissions(app, group, "*.*")
    for identity in ("session", "api-token", "membership"):
        for page in ("list", "details/1", "export/csv", "delete?pks=1"):
            assert (await client.get(f"/admin/{identity}/{page}")).status_code == 403, (identity, page)
    assert (await client.get("/admin/operations")).status_code == 403


async def test_lookup_needs_permissions_on_both_models(app: FastAPI, client: AsyncClient, group: Group) -> None:
    sufficient = ("gadget.create maker.list", "gadget.update maker.list", "gadget.list maker.list")
    missing = ("gadget.create", "gadget.update maker.get", "maker.list", "gadget.list", "gadget.get maker.get")
    for permissions in (*sufficient, *missing):
        await set_permissions(app, group, *permissions.split())
        is_allowed = permissions in sufficient
        assert bool(await find_allowed_requests(client, [LOOKUP_REQUEST])) == is_allowed, permissions


async def test_pages_hide_actions_without_permission(app: FastAPI, client: AsyncClient, group: Group) -> None:
    # Any two actions differ in at least one of these requests.
    for actions in (
        ("get", "update", "export"),
        ("create", "update", "action:polish"),
        ("delete", "export", "action:polish"),
    ):
        await set_permissions(app, group, "gadget.list", *(f"gadget.{action}" for action in actions))
        page = (await send_request(client, "GET gadget/list")).text
        assert {name for name, url in BUTTONS.items() if url in page} == {"list", *actions}
        assert "/admin/maker/" not in page
    await set_permissions(app, group, "maker.list", "gadget.get")
    page = (await client.get("/admin/")).text
    assert "/admin/maker/list" in page
    for hidden in ("gadget/list", "maker/create", "user/list", "cache", "operations"):
        assert f"/admin/{hidden}" not in page
    await set_permissions(app, group, "maker.create")
    response = await client.post("/admin/maker/create", data={"name": "New", "save": "Save"})
    assert response.headers["location"] == "/admin/"


async def test_lost_permission_ends_immediately(app: FastAPI, client: AsyncClient, group: Group, staff: User) -> None:
    await set_permissions(app, group, "gadget.list")
    assert (await client.get("/admin/gadget/list")).status_code == 200
    await set_permissions(app, group)
    response = await client.get("/admin/gadget/list")
    assert response.status_code == 403
    assert "None of your groups has permissions in the admin." in response.text
    await set_permissions(app, group, "gadget.list")
    await execute(app, update(User).where(col(User.id) == staff.id).values(is_staff=False))
    response = await client.get("/admin/gadget/list")
    assert response.status_code == 403
    assert "for staff" in response.text


async def test_permissions_without_staff_flag_open_nothing(app: FastAPI, user: User, user_client: AsyncClient) -> None:
    await add_permission(app.state.database, user, "*", "*")
    assert (await user_client.get("/admin/")).status_code == 403


async def test_required_second_factor_is_set_up_first(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"needs_second_factor": "staff"}))
    async with app.router.lifespan_context(app):
        database = app.state.database
        root = await make_user(database, is_superuser=True)
        async with signed_in_client(app, root) as client:
            response = await client.get("/admin/user/list")
            assert (response.status_code, response.headers["location"]) == (303, "/accounts/two-factor")
            refused = await client.post("/admin/user/create", data={"email": "a@example.com"})
            assert refused.status_code == 403
            assert "second factor" in refused.text
        safe = await make_user(database, is_superuser=True, totp_secret="sealed")
        async with signed_in_client(app, safe) as client:
            assert (await client.get("/admin/user/list")).status_code == 200
