"""Features that register a name twice, or need a feature that is not installed."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter
from sqladmin import BaseView
from starlette.requests import Request

from opportune.application import create_app
from opportune.config import Settings, installed_features
from opportune.contrib.answers.screens.dependencies import Answers, get_answers
from opportune.contrib.llm.dependencies import Llm as Llm_
from opportune.contrib.llm.dependencies import get_llm
from opportune.contrib.teams import TeamAdmin
from opportune.contrib.teams.dependencies import get_user_teams
from opportune.db import after_create
from opportune.db.hooks.registry import hooks_of, temporary_hooks
from opportune.errors import OperatorError
from opportune.feature import Admin, Feature, Finding, Jobs, Monitoring, Process, Service, Services, Site
from opportune.features.consistency import find_registration_errors
from opportune.features.core import CORE_FEATURES, installed_hooks
from opportune.jobs import JobContext, JobDefinition, job
from opportune.jobs.models import Job
from opportune.testing.plugin import settings_for

THIS_MODULE = __name__


@job("books.tidy")
async def tidy(run: JobContext) -> None: ...


@job("books.tidy")
async def tidy_with_same_name(run: JobContext) -> None: ...


def check_books(_settings: Settings) -> Iterator[Finding]:
    yield from ()


def shout(*_arguments: Any) -> Any:
    return None


class BookView(BaseView):
    identity = "books"


HANDLER: dict[str, Any] = {"site": Site(error_handlers={OSError: shout})}


def route_at(path: str) -> APIRouter:
    router = APIRouter()
    router.add_api_route(path, shout, methods=["GET"])
    return router


def websocket_at(path: str) -> APIRouter:
    router = APIRouter()
    router.add_api_websocket_route(path, shout)
    return router


def make_service(name: str) -> Service[Any]:
    return Service(name, str, lambda _services: "")


books_feature = partial(Feature, "books")
notes_feature = partial(Feature, "notes")
CHECKS = {"monitoring": Monitoring(checks=[check_books])}
FILTERS = {"site": Site(template_filters={"shout": shout})}
SERVICES = {"process": Process(services=[make_service("shop")])}


@pytest.mark.parametrize(
    ("books_arguments", "notes_arguments", "name"),
    [
        ({"jobs": Jobs([tidy])}, {"jobs": Jobs([tidy_with_same_name])}, "job books.tidy"),
        (CHECKS, {"monitoring": Monitoring(production_checks=[check_books])}, f"check {THIS_MODULE}.check_books"),
        (FILTERS, FILTERS, "template name shout"),
        (SERVICES, SERVICES, "service shop"),
        ({"pages": route_at("/books/{id}")}, {"pages": route_at("/books/{name}")}, "route GET /books/{}"),
        ({"pages": websocket_at("/books")}, {"pages": websocket_at("/books")}, "route WEBSOCKET /books"),
        ({"admin": Admin(actions={"shout": shout})}, {"admin": Admin(actions={"shout": shout})}, "operation shout"),
        (HANDLER, HANDLER, "error handler of builtins.OSError"),
        ({"admin": Admin([BookView])}, {"admin": Admin([BookView])}, f"admin view {THIS_MODULE}.BookView"),
    ],
)
def test_double_registration_is_reported(books_arguments: Any, notes_arguments: Any, name: str) -> None:
    (message,) = find_registration_errors([books_feature(**books_arguments), notes_feature(**notes_arguments)])
    assert message.startswith(f"The {name} is registered twice: in ")
    assert "(feature books)" in message
    assert message.endswith("(feature notes). Rename one.")


def test_doubled_prefix_of_an_api_is_reported() -> None:
    (message,) = find_registration_errors([books_feature(api=route_at("/api/v1/books"))])
    assert message == "Feature('books', api=…) adds /api/v1 to /api/v1/books. Write its path without /api/v1."
    assert not list(find_registration_errors([books_feature(api=route_at("/api/v10/books"))]))


def test_hook_registered_twice_is_reported() -> None:
    with temporary_hooks():

        @after_create(Job)
        async def note(_session: Any, _row: Job) -> None: ...

        (message,) = find_registration_errors([books_feature(hooks=[note]), notes_feature(hooks=[note])])
    assert message.startswith(f"The hook {THIS_MODULE}.")


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("hooks=[…]", "note of app.books.hooks"),
        ("jobs=Jobs([…])", "clean of app.books.jobs"),
        ("settings=…", "BooksSettings of app.books.settings"),
    ],
)
def test_unlisted_part_is_reported(monkeypatch: pytest.MonkeyPatch, argument: str, name: str) -> None:
    async def note(_session: Any, _row: Job) -> None: ...

    async def clean(run: JobContext) -> None: ...

    note.__module__, clean.__module__ = "app.books.hooks", "app.books.jobs"
    definition = JobDefinition(name="books.clean", function=clean)
    settings: Any = type("BooksSettings", (), {"__module__": "app.books.settings", "renamed_settings": {}})
    monkeypatch.setattr("opportune.features.parts.declared_jobs", [definition])
    monkeypatch.setattr("opportune.features.parts.BaseSettings", SimpleNamespace(__subclasses__=lambda: [settings]))
    with temporary_hooks():
        after_create(Job)(note)
        assert f"app/books/feature.py: {argument} lacks {name}. Add it." in find_registration_errors([books_feature()])
        assert not [*find_registration_errors([notes_feature()])]
        listed = books_feature(hooks=[note], jobs=Jobs([definition]), settings=settings)
        assert not [*find_registration_errors([listed])]


@pytest.mark.parametrize("name", ["app.books", "opportune_books"])
def test_imported_feature_must_be_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / "feature.py").touch()
    package, declaration = ModuleType(name), ModuleType(f"{name}.feature")
    package.__path__ = [str(tmp_path)]
    for module in (package, declaration):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    fault = f"{name} is imported, but app/installed.py does not list its feature."
    message = f"{fault} Add it to INSTALLED, or remove the imports."
    assert message in find_registration_errors([notes_feature()], is_complete=True)
    assert message not in find_registration_errors([books_feature()], is_complete=True)
    vars(declaration)["library"] = library = Feature("library")
    assert message not in find_registration_errors([library], is_complete=True)


@pytest.mark.parametrize("module", ["app.books.hooks", "opportune_books.hooks"])
def test_hook_runs_only_if_its_feature_is_listed(module: str) -> None:
    async def note(_session: Any, _row: Job) -> None: ...

    note.__module__ = module
    with temporary_hooks():
        after_create(Job)(note)
        with installed_hooks([notes_feature()]):
            assert note not in hooks_of(Job).get("after_create", ())
        with installed_hooks([books_feature(hooks=[note])]):
            assert note in hooks_of(Job)["after_create"]


@pytest.mark.parametrize(
    ("registered", "location"),
    [
        ({"site": Site(template_filters={"date": shout})}, "opportune.web.rendering.templates"),
        ({"process": Process(services=[make_service("database")])}, "opportune.application"),
    ],
)
def test_name_of_the_framework_is_refused(registered: Any, location: str) -> None:
    (message,) = find_registration_errors([books_feature(**registered)])
    assert f"registered twice: in {location} and in" in message


def test_address_of_the_framework_is_refused() -> None:
    (message,) = find_registration_errors([*CORE_FEATURES, books_feature(pages=route_at("/health"))])
    assert message.startswith("The route GET /health is registered twice: in opportune.web.health (feature web)")


async def use_llm(llm: Llm_) -> None: ...


async def use_answers(answers: Answers) -> None: ...


async def use_team(team: TeamAdmin) -> None: ...


@pytest.mark.parametrize(("page", "name"), [(use_llm, "llm"), (use_answers, "answers"), (use_team, "teams")])
def test_dependency_of_missing_feature_is_reported(page: Any, name: str) -> None:
    router = APIRouter()
    router.get("/books")(page)
    message = f"Feature('books'): the route GET /books needs the feature {name}. Add `{name}` to app/installed.py."
    assert [*find_registration_errors([books_feature(pages=router)])] == [message]
    assert not [*find_registration_errors([books_feature(pages=router), Feature(name)])]


async def test_request_names_the_missing_feature() -> None:
    app = SimpleNamespace(state=SimpleNamespace(features=[]))
    for dependency in (get_llm, get_user_teams, partial(get_answers, user=None)):
        with pytest.raises(OperatorError, match=r"The feature (llm|teams|answers) is not installed"):
            await dependency(Request({"type": "http", "app": app}))


def test_service_without_required_service_does_not_start() -> None:
    catalogue = Service("catalogue", str, lambda services: services.named("library"))
    missing = "No installed feature has a service library. Install it."
    with pytest.raises(OperatorError, match=f"^The service catalogue of {THIS_MODULE} needs another one: {missing}$"):
        Services([catalogue])


@pytest.mark.parametrize("name", ["visitors", "storage"])
def test_feature_with_name_of_core_feature_is_refused(name: str) -> None:
    with pytest.raises(OperatorError, match=rf"the framework has a feature named {name}\. Give this one another name"):
        create_app(settings_for("sqlite:///unused.db"), [*installed_features(), Feature(name)])
