"""Scopes of tokens, declared by routes or by default."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, UploadFile
from fastapi.responses import StreamingResponse
from fastapi_users import FastAPIUsers
from httpx2 import AsyncClient, Response
from pydantic import ValidationError

from opportune.accounts import CurrentUser, OptionalUser, auth_backends, get_current_user, get_user_manager, needs_scope
from opportune.accounts.models import ACCESS_TOKEN_NAME, User
from opportune.accounts.schemas import TokenCreate
from opportune.accounts.tokens.scopes import has_scope, scope_labels
from opportune.config import Settings, installed_features
from opportune.db.database import Database
from opportune.errors import OperatorError
from opportune.feature import Feature, Link, Llm, Site
from opportune.testing import PASSWORD, counted_statements, make_token, signed_in_client
from opportune.testing.app import create_test_app
from tests.opportune.accounts.conftest import bearer
from tests.opportune.guides import code_blocks, read_guide, run_code

ME, TOKENS, BOOKS, LOGIN = (f"/api/v1/{path}" for path in ("users/me", "users/me/tokens", "books", "auth/login"))
by_fastapi_users = FastAPIUsers[Any, int](get_user_manager, auth_backends).current_user()
books = APIRouter(prefix="/books")


@books.get("")
@books.put("")
async def current_user_id(user: CurrentUser) -> int:
    return user.id


@books.get("/stream")
async def stream(_: CurrentUser) -> StreamingResponse:
    return StreamingResponse(iter(("a", "b")))


@books.post("/upload")
async def upload(_: CurrentUser, file: UploadFile) -> int | None:
    return file.size


@books.post("/search", dependencies=[needs_scope("books:read")])
async def search(user: CurrentUser) -> int:
    return user.id


@books.get("/export")
async def export(user: Annotated[User, needs_scope("books:export")]) -> int:
    return user.id


@books.get("/native")
async def native(user: Annotated[User, Security(get_current_user, scopes=["books:export"])]) -> int:
    return user.id


@books.get("/open")
async def is_open() -> None: ...


async def lend(user: Annotated[User, needs_scope("books:lend")]) -> int:
    """Lend a book."""
    return user.id


for route in books.routes:  # as if declared on the routes
    vars(route)["endpoint"].__module__ = "app.books.api"

NAVIGATION = Site(navigation=[Link("Our books", "/books", "book")])
BOOKS_FEATURE = Feature("books", "Books.", api=books, llm=Llm(tools=[lend]), site=NAVIGATION)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """A site with a feature `books`, and with a route without a feature."""
    features = [feature for feature in installed_features() if feature.name in ("accounts", "users", "jobs")]
    app = create_test_app(settings, [*features, BOOKS_FEATURE])

    @app.get("/api/without-feature")
    async def open_route(user: OptionalUser) -> bool:
        return user is not None

    @app.get("/api/by-fastapi-users")
    async def library_user(user: Annotated[User, Depends(by_fastapi_users)]) -> int:
        return user.id

    app.include_router(books, prefix="/api/included", dependencies=[needs_scope("books:loan")])
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def request_with_scopes(client: AsyncClient, database: Database, user: User) -> Any:
    async def send(scopes: str, method: str, path: str, **arguments: Any) -> Response:
        headers = bearer(await make_token(database, user, scopes))
        return await client.request(method, path, headers=headers, **arguments)

    return send


def test_scopes_of_a_token_fit_into_their_column() -> None:
    names = [f"{'a' * 40}{number}:read" for number in range(60)]
    with pytest.raises(ValidationError, match="select fewer"):
        TokenCreate(name="Reader", current_password=PASSWORD, scopes=names)
    assert TokenCreate(name="Reader", current_password=PASSWORD, scopes=[names[0]] * 100).scopes == names[:1]


@pytest.mark.parametrize(
    ("token_scopes", "needed", "is_included"),
    [
        ("books:read", "books:read", True),
        ("read", "books:read", True),
        ("read write", "books:export", False),
        ("books:read books:write", "read", False),
        ("*", "books:export", True),
    ],
)
def test_tokens_scopes_include_the_needed_scope(token_scopes: str, needed: str, *, is_included: bool) -> None:
    assert has_scope(token_scopes.split(), needed) is is_included


async def test_route_requires_the_scope_of_its_feature(request_with_scopes: Any) -> None:
    for scopes, read_status, write_status in [
        ("books:read", 200, 403),
        ("books:write", 403, 200),
        ("read", 200, 403),
        ("write", 403, 200),
        ("stock:read stock:write", 403, 403),
    ]:
        assert (await request_with_scopes(scopes, "GET", BOOKS)).status_code == read_status, scopes
        assert (await request_with_scopes(scopes, "GET", f"{BOOKS}/stream")).status_code == read_status, scopes
        assert (await request_with_scopes(scopes, "PUT", BOOKS)).status_code == write_status, scopes
        upload = await request_with_scopes(scopes, "POST", f"{BOOKS}/upload", files={"file": b"abc"})
        assert upload.status_code == write_status, scopes
    response = await request_with_scopes("books:read", "PUT", BOOKS)
    assert response.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="books:write"'
    assert response.json()["detail"] == "This token may not do this: it lacks the scope books:write."
    for path in ("/api/without-feature", "/api/by-fastapi-users"):
        assert (await request_with_scopes("read", "GET", path)).status_code == 200, path
        assert (await request_with_scopes("books:read write", "GET", path)).status_code == 403, path
    path = "/api/included/books"
    assert (await request_with_scopes("books:read", "GET", path)).status_code == 403
    assert (await request_with_scopes("books:read books:loan", "GET", path)).status_code == 200
    assert (await request_with_scopes("*", "GET", "/admin/user/list")).status_code in (303, 401)


async def test_token_cannot_create_a_stronger_one(request_with_scopes: Any) -> None:
    form = {"name": "Backup", "current_password": PASSWORD}
    with_defaults = await request_with_scopes("*", "POST", TOKENS, json=form)
    assert (with_defaults.status_code, with_defaults.json()["scopes"]) == (201, ["read", "write"])
    chosen = {**form, "scopes": ["books:read"]}
    selected = await request_with_scopes("accounts:manage books:read", "POST", TOKENS, json=chosen)
    assert (selected.status_code, selected.json()["scopes"]) == (201, ["books:read"])
    assert (await request_with_scopes("accounts:manage books:read", "POST", TOKENS, json=form)).status_code == 403
    assert (await request_with_scopes("read write", "POST", TOKENS, json=form)).status_code == 403
    for invalid_scopes in ([], ["nonsense"], ["*"]):
        refused = await request_with_scopes("*", "POST", TOKENS, json={**form, "scopes": invalid_scopes})
        assert refused.status_code == 422, invalid_scopes


async def test_declared_scopes_replace_the_default(request_with_scopes: Any, app: FastAPI, user: User) -> None:
    assert (await request_with_scopes("books:read", "POST", f"{BOOKS}/search")).json() == user.id
    assert (await request_with_scopes("write", "POST", f"{BOOKS}/search")).status_code == 403
    for path in ("export", "native"):
        assert (await request_with_scopes("read write", "GET", f"{BOOKS}/{path}")).status_code == 403
        assert (await request_with_scopes("books:export", "GET", f"{BOOKS}/{path}")).json() == user.id
    async with signed_in_client(app, user) as browser:
        assert (await browser.get(f"{BOOKS}/export")).json() == user.id
    assert (await request_with_scopes("write", "GET", f"{BOOKS}/open")).status_code == 200, "it needs no user"


async def test_account_needs_its_own_scope(request_with_scopes: Any) -> None:
    managing_requests = [
        ("GET", TOKENS), ("DELETE", TOKENS), ("DELETE", f"{TOKENS}/9"), ("DELETE", ME), ("GET", f"{ME}/sessions"),
        ("POST", f"{ME}/two-factor"), ("GET", f"{ME}/export"), ("GET", f"{ME}/linked-accounts"),
    ]  # fmt: skip
    for method, path in managing_requests:
        assert (await request_with_scopes("read write", method, path, json={})).status_code == 403, path
        assert (await request_with_scopes("accounts:manage", method, path, json={})).status_code != 403, path
    assert (await request_with_scopes("read", "GET", ME)).status_code == 200
    assert (await request_with_scopes("accounts:manage", "GET", ME)).status_code == 403
    assert (await request_with_scopes("write", "PATCH", ME, json={"display_name": "Ada"})).status_code == 200
    for change in ({"password": "quite another one"}, {"email": "new@example.com"}):
        response = await request_with_scopes("write", "PATCH", ME, json={**change, "current_password": PASSWORD})
        assert (response.status_code, "accounts:manage" in response.text) == (403, True)


async def test_sessions_have_all_scopes(app: FastAPI, client: AsyncClient, user: User, database: Database) -> None:
    token = (await client.post(LOGIN, data={"username": user.email, "password": PASSWORD})).json()["access_token"]
    assert (await client.get(TOKENS, headers=bearer(token))).json()[0]["scopes"] == ["*"]
    async with signed_in_client(app, user) as browser:
        assert (await browser.get(TOKENS)).status_code == 200
    form = {"username": user.email, "password": PASSWORD, "scope": "books:read  read"}
    granted = (await client.post(LOGIN, data=form)).json()
    assert granted["scope"] == "books:read read"
    headers = bearer(granted["access_token"])
    assert (await client.put(BOOKS, headers=headers)).status_code == 403
    unknown = await client.post(LOGIN, data={**form, "scope": "books:rade"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, ["scope"])
    assert "Unknown scope. Available scopes: read, write, " in unknown.text
    headers = bearer(await make_token(database, user, "accounts:read"))
    with counted_statements("SELECT") as queries:
        assert (await client.get(ME, headers=headers)).status_code == 200
    assert len(queries) == 1


async def test_scopes_are_selected_on_the_page(user_client: AsyncClient, client: AsyncClient) -> None:
    page = (await user_client.get("/accounts/tokens")).text
    for name in ("read", "books:write", "accounts:manage"):
        assert f'name="scopes" value="{name}"' in page
    assert 'value="read" checked' in page
    assert 'value="accounts:manage" checked' not in page
    form = {"name": "Backup", "days": "7", "current_password": PASSWORD}
    created = await user_client.post("/accounts/tokens", data={**form, "scopes": ["books:read", "accounts:read"]})
    for label in ("Our books: read", "Your account: read"):
        assert f">{label}</span>" in created.text
    for change in ({}, {"scopes": "nonsense"}, {"scopes": "books:read", "name": ACCESS_TOKEN_NAME}):
        assert (await user_client.post("/accounts/tokens", data={**form, **change})).status_code == 422


def test_scopes_come_from_routes_and_tools_of_the_site(app: FastAPI) -> None:
    needs_scope("elsewhere:read")
    offered = scope_labels(app)
    assert {"books:export", "books:loan", "books:lend"} <= offered.keys()
    assert "elsewhere:read" not in offered


async def test_guide_of_scopes_works(app: FastAPI, request_with_scopes: Any, client: AsyncClient) -> None:
    guide = read_guide("tokens.md")
    (code,) = code_blocks(guide)
    names = run_code(code)
    app.include_router(names["router"], prefix="/api")
    assert (await request_with_scopes("stock:read", "POST", "/api/stock/search")).json() == []
    refused = await request_with_scopes("read write", "GET", "/api/stock/export")
    assert f"`WWW-Authenticate: {refused.headers['www-authenticate']}`" in guide
    page = (await client.get("/api/openapi.json")).json()["components"]["securitySchemes"]
    offered = page["OAuth2PasswordBearer"]["flows"]["password"]["scopes"]
    assert {name for name in re.findall(r"`([a-z]+:[a-z]+)`", guide) if "stock" not in name} <= offered.keys()
    assert {"stock:read", "stock:export"} <= offered.keys()


async def test_openapi_names_the_scopes(client: AsyncClient) -> None:
    document = (await client.get("/api/openapi.json")).json()
    scheme = "OAuth2PasswordBearer"
    offered = document["components"]["securitySchemes"][scheme]["flows"]["password"]["scopes"]
    security = {
        (method, path): [item for item in operation["security"] if "HTTPBearer" not in item]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "security" in operation
    }
    assert {"HTTPBearer": []} in document["paths"][BOOKS]["put"]["security"]
    assert security["put", BOOKS] == [{scheme: ["books:write"]}]
    assert security["get", f"{BOOKS}/stream"] == [{scheme: ["books:read"]}]
    assert security["get", f"{BOOKS}/export"] == [{scheme: ["books:export"]}]
    assert security["get", "/api/v1/users/me"] == [{scheme: ["accounts:read"]}]
    assert security["post", "/api/v1/users/me/tokens"] == [{scheme: ["accounts:manage"]}]
    assert security["post", "/api/v1/auth/logout"] == [{scheme: []}]
    assert security["get", "/api/included/books"] == [{scheme: ["books:loan", "books:read"]}]
    assert security["get", "/api/by-fastapi-users"] == [{scheme: ["read"]}, {"APIKeyCookie": []}]
    assert {scope for requirement, *_ in security.values() for scope in requirement[scheme]} <= offered.keys()
    assert offered["books:read"] == "Our books: read"
    assert "403" in document["paths"][BOOKS]["put"]["responses"]


def test_scope_without_a_prefix_is_refused() -> None:
    for scope in ("export", "books:", "books export", 'a:"b'):
        with pytest.raises(OperatorError, match="such as needs_scope"):
            needs_scope(scope)
