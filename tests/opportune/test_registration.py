"""Features that register a name twice, or need a feature that is not installed."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from sqladmin import BaseView

from opportune.admin.options import view_faults
from opportune.application import create_app
from opportune.config.project import installed_features
from opportune.config.settings import Settings
from opportune.db import after_create
from opportune.db.hooks.registry import temporary_hooks
from opportune.errors import OperatorError
from opportune.feature import Feature, Finding
from opportune.features import CORE_FEATURES, all_features, registration_faults
from opportune.jobs import JobContext, job
from opportune.jobs.models import Job
from opportune.runtime.services import Service, Services
from opportune.testing.plugin import settings_for

THIS_MODULE = __name__


@job("books.tidy")
async def tidy(run: JobContext) -> None: ...


@job("books.tidy")
async def tidy_with_same_name(run: JobContext) -> None: ...


def check_books(_settings: Settings) -> Iterator[Finding]:
    yield from ()


def shout(text: str) -> str:
    return text.upper()


async def find_book(title: str) -> str:
    """Find a book."""
    return title


class BookView(BaseView):
    identity = "books"


class OtherView(BaseView):
    identity = "books"


HANDLER = {"error_handlers": {OSError: shout}}


def router(path: str) -> APIRouter:
    router = APIRouter()
    router.add_api_route(path, shout, methods=["GET"])
    return router


def socket(path: str) -> APIRouter:
    router = APIRouter()
    router.add_api_websocket_route(path, shout)
    return router


def service(name: str) -> Service[Any]:
    return Service(name, str, lambda _services: "")


def books(**registered: Any) -> Feature:
    return Feature(name="books", summary="", **registered)


def notes(**registered: Any) -> Feature:
    return Feature(name="notes", summary="", **registered)


@pytest.mark.parametrize(
    ("books_arguments", "notes_arguments", "name"),
    [
        ({"jobs": [tidy]}, {"jobs": [tidy_with_same_name]}, "job books.tidy"),
        ({"checks": [check_books]}, {"production_checks": [check_books]}, f"check {THIS_MODULE}.check_books"),
        ({"template_filters": {"shout": shout}}, {"template_filters": {"shout": shout}}, "filter or global shout"),
        ({"template_filters": {"shout": shout}}, {"template_globals": {"shout": shout}}, "filter or global shout"),
        ({"services": [service("shop")]}, {"services": [service("shop")]}, "service shop"),
        ({"pages": router("/books/{id}")}, {"pages": router("/books/{name}")}, "address GET /books/{}"),
        ({"pages": router("/books")}, {"routes": router("/books")}, "address GET /books"),
        ({"pages": socket("/books")}, {"pages": socket("/books")}, "address WEBSOCKET /books"),
        ({"api": router("/books")}, {"api": router("/books")}, "address GET /api/v1/books"),
        ({"admin_operations": {"shout": shout}}, {"admin_operations": {"shout": shout}}, "operation shout"),
        (HANDLER, HANDLER, "error handler of builtins.OSError"),
        ({"admin": "app.books.admin"}, {"admin": "app.books.admin"}, "admin view app.books.admin"),
        ({"admin": [BookView]}, {"admin": [BookView]}, f"admin view {THIS_MODULE}.BookView"),
    ],
)
def test_double_registration_is_one_line(books_arguments: Any, notes_arguments: Any, name: str) -> None:
    (line,) = registration_faults([books(**books_arguments), notes(**notes_arguments)])
    assert line.startswith(f"The {name} is registered twice: in ")
    assert "(feature books)" in line
    assert line.endswith("(feature notes). Rename one.")


def test_operation_registered_twice_is_one_line() -> None:
    operations = {"Tidy up": tidy()}
    (line,) = registration_faults([books(jobs=[tidy], operations=operations), notes(operations=operations)])
    assert line.startswith("The operation Tidy up is registered twice")


def test_tool_registered_twice_is_one_line() -> None:
    (line,) = registration_faults([*CORE_FEATURES, books(tools=[find_book]), notes(tools=[find_book])])
    assert line.startswith(f"The tool find_book is registered twice: in {THIS_MODULE} (feature books)")


def test_hook_registered_twice_is_one_line() -> None:
    with temporary_hooks():

        @after_create(Job)
        async def note(_session: Any, _row: Job) -> None: ...

        (line,) = registration_faults([books(hooks=[note]), notes(hooks=[note])])
    assert line.startswith(f"The hook {THIS_MODULE}.")


@pytest.mark.parametrize(
    ("registered", "location"),
    [
        ({"template_filters": {"date": shout}}, "opportune.web.rendering.templates"),
        ({"services": [service("database")]}, "opportune.application"),
    ],
)
def test_name_of_the_framework_is_refused(registered: Any, location: str) -> None:
    (line,) = registration_faults([books(**registered)])
    assert f"registered twice: in {location} and in" in line


def test_address_of_the_framework_is_refused() -> None:
    (line,) = registration_faults([*CORE_FEATURES, books(pages=router("/health"))])
    assert line.startswith(
        "The address GET /health is registered twice: in opportune.web.endpoints.health (feature web)"
    )


def test_two_admin_pages_at_one_address_are_one_line() -> None:
    assert list(view_faults([BookView, OtherView])) == [
        "BookView and OtherView both have the address /admin/books: set identity=… in one of them."
    ]


def test_operation_of_an_unlisted_job_is_one_line() -> None:
    (line,) = registration_faults([books(operations={"Tidy up": tidy()})])
    assert line == (
        f"Feature('books') queues the job books.tidy of {THIS_MODULE}, which no installed feature lists: "
        "add it to jobs=[…], or install its feature."
    )


@pytest.mark.parametrize(
    ("registered", "argument", "required"),
    [
        ({"requires": ["answers"]}, "requires=…", "answers"),
        ({"tools": [find_book]}, "tools=…", "tools"),
        ({"retrieval": [find_book]}, "retrieval=…", "tools"),
        ({"llm_guard": shout}, "llm_guard=…", "llm"),
    ],
)
def test_missing_required_feature_is_one_line(registered: Any, argument: str, required: str) -> None:
    (line,) = registration_faults([books(**registered)])
    assert line == f"Feature('books', {argument}) needs the feature {required}. Add it to installed.py."


def test_service_without_required_service_does_not_start() -> None:
    catalogue = Service("catalogue", str, lambda services: services.named("library"))
    with pytest.raises(OperatorError) as error:
        Services([catalogue])
    assert str(error.value) == (
        f"The service catalogue of {THIS_MODULE} needs another one: "
        "No installed feature has a service library. Install it."
    )


def test_installed_features_have_no_faults() -> None:
    assert list(registration_faults(all_features(installed_features()))) == []


def test_site_with_a_double_registration_does_not_start() -> None:
    features = [*installed_features(), books(jobs=[tidy]), notes(jobs=[tidy_with_same_name])]
    with pytest.raises(OperatorError, match=r"The job books\.tidy is registered twice"):
        create_app(settings_for("sqlite:///unused.db"), features)
