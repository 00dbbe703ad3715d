"""The declaration of a feature, and the list of features of a site."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from sqlmodel import SQLModel
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opportune.accounts.models import User
from opportune.application import create_app
from opportune.config.settings import Settings
from opportune.db import Model
from opportune.errors import NotFound, OperatorError
from opportune.feature import Feature, Jobs, Process, Site
from opportune.project.installed import installed_features, require_core_features, require_unique_names
from opportune.testing.app import create_test_app
from opportune.testing.plugin import settings_for

router = APIRouter()


class OutOfPrint(Exception):
    pass


class StampMiddleware:
    """Adds its name to the header `x-stamps` of responses."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self.app = app
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-stamps", self.name.encode()))
            await send(message)

        await self.app(scope, receive, send_stamped)


@router.get("/novel")
async def show_novel() -> str:
    raise OutOfPrint


@router.get("/missing")
async def show_missing() -> str:
    raise NotFound


@router.get("/crash")
async def crash() -> str:
    raise RuntimeError


async def on_out_of_print(_request: Request, _error: OutOfPrint) -> Response:
    return JSONResponse({"detail": "This book is out of print."}, 410)


async def on_missing(_request: Request, _error: NotFound) -> Response:
    return PlainTextResponse("No such book.", 404)


def make_feature(name: str, *tables: str) -> Feature:
    return Feature(name, models=[make_model(table) for table in tables])


def make_model(table: str, package: str = "shelf") -> Any:
    """Return a stand-in for a model in app/shelf/models.py."""
    attributes = {"__tablename__": table, "__table__": None, "__module__": f"app.{package}.models"}
    return type("Shelf", (SQLModel,), attributes)


BOOKS = make_feature("books")


def client_for(*features: Feature) -> TestClient:
    return TestClient(create_app(settings_for("sqlite:///unused.db"), features))


def test_error_handlers_of_features() -> None:
    handlers: dict[type[Exception], Any] = {
        OutOfPrint: on_out_of_print,
        NotFound: on_missing,  # the framework also has one
        Exception: on_missing,
    }
    client = client_for(Feature("books", api=router, site=Site(error_handlers=handlers)))
    assert client.get("/api/v1/crash").text == "No such book."
    response = client.get("/api/v1/novel")
    assert (response.status_code, response.json()) == (410, {"detail": "This book is out of print."})
    assert client.get("/api/v1/missing").text == "No such book."


async def test_lifespan_runs_event_handlers_and_yields_state(settings: Settings) -> None:
    @asynccontextmanager
    async def open_shelf(_app: FastAPI) -> AsyncIterator[dict[str, str]]:
        yield {"shelf": "A"}

    started: list[str] = []
    app = create_test_app(settings, [Feature("shelf", process=Process(lifespan=open_shelf))])
    app.router.on_startup.append(lambda: started.append("application"))
    async with app.router.lifespan_context(app) as state:
        assert (state, started) == ({"shelf": "A"}, ["application"])


def test_middleware_of_first_feature_is_outermost() -> None:
    outer = Feature("outer", site=Site(middleware=[Middleware(StampMiddleware, name="outer")]))
    inner = Feature("inner", site=Site(middleware=[Middleware(StampMiddleware, name="inner")]))
    assert client_for(outer, inner).get("/health/live").headers.get_list("x-stamps") == ["inner", "outer"]


REFUSED_LISTS: dict[str, tuple[list[Any], str]] = {
    "the same feature twice": ([BOOKS, make_feature("notes"), BOOKS], "app/installed.py lists books twice"),
    "two features of one name": (
        [BOOKS, make_feature("notes"), make_feature("books")],
        "app/installed.py lists two features named books",
    ),
    "table named after another feature": (
        [BOOKS, make_feature("notes", "notes_note", "books_shelf")],
        "app/shelf/models.py: the table books_shelf has the prefix of the feature books. Begin its name with notes_.",
    ),
    "model of another feature": (
        [BOOKS, Feature("notes", models=[make_model("books_shelf", "books")])],
        "app/notes/feature.py lists Shelf, which is a model of books: take it out of models=[…].",
    ),
    "entry that is no feature": ([BOOKS, "notes"], "app/installed.py: 'notes' is not a Feature"),
}


@pytest.mark.parametrize(("features", "message"), REFUSED_LISTS.values(), ids=REFUSED_LISTS)
def test_list_of_features_is_refused(features: list[Any], message: str) -> None:
    with pytest.raises(OperatorError, match=f"^{re.escape(message)}"):
        require_unique_names(features)


@pytest.mark.parametrize(
    ("table", "module", "message"),
    [
        ("accounts_user", "app.shelf.models", "opportune.accounts.models and app.shelf.models declare the table"),
        (
            "admin_audit_entry",
            "opportune.admin.models",
            "opportune.admin.models declares the table admin_audit_entry twice.",
        ),
    ],
)
def test_duplicate_table_error_names_its_modules(table: str, module: str, message: str) -> None:
    with pytest.raises(OperatorError, match=f"^{message}"):
        type("Shelf", (Model,), {"__tablename__": table, "__module__": module}, table=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": User}, "Feature('books', models=…) needs Sequence[type[SQLModel]], not <class 'app.u"),
        (
            {"hooks": ["tell"]},
            "Feature('books', hooks=…) needs Sequence[Callable[..., Awaitable[None] | None]], not ['",
        ),
        ({"requires": "answers"}, "Feature('books', requires=…) is a text. Write a tuple: ('answers',)"),
        ({"admin": "app.books.admin"}, "Feature('books', admin=…) needs Admin, not 'app.books.admin'"),
        ({"name": "my books"}, "Feature('my books'): use lowercase letters"),
    ],
)
def test_value_of_another_type_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OperatorError, match=f"^{re.escape(message)}"):
        Feature(**{"name": "books", **options})


def test_function_that_is_no_job_is_refused() -> None:
    message = "Feature('books', jobs=Jobs(…)) lists print, which is not a job. Write @job(\"books.print\") above it."
    jobs: Any = [print]
    with pytest.raises(OperatorError, match=f"^{re.escape(message)}$"):
        Feature("books", jobs=Jobs(jobs))


def test_missing_core_feature_is_refused() -> None:
    message = "which every site needs: from app.users.feature import users, and list it in INSTALLED."
    with pytest.raises(OperatorError, match=f"^app/installed.py lacks users, {message}$"):
        require_core_features(["accounts", "admin", "jobs"])


def test_missing_list_of_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.installed.INSTALLED", {})
    with pytest.raises(OperatorError, match=r"^app/installed\.py has no INSTALLED: begin it with"):
        installed_features()
    monkeypatch.setattr("opportune.project.installed.find_spec", lambda _name: None)
    with pytest.raises(OperatorError, match=r"^app/installed\.py is missing\. Restore it: git checkout"):
        installed_features()
