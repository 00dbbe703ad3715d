"""Features that register something twice, or for a part that is not installed."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter

from opportune.application import create_app
from opportune.config.project import installed_features
from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.feature import Feature, Finding
from opportune.features import all_features, registration_faults
from opportune.jobs import JobContext, job
from opportune.runtime.services import Service
from opportune.testing.plugin import settings_for

HERE = __name__


@job("books.tidy")
async def tidy(run: JobContext) -> None: ...


@job("books.tidy")
async def tidy_again(run: JobContext) -> None: ...


def check_books(_settings: Settings) -> Iterator[Finding]:
    yield from ()


def shout(text: str) -> str:
    return text.upper()


def router(path: str) -> APIRouter:
    router = APIRouter()
    router.add_api_route(path, shout, methods=["GET"])
    return router


def books(**registered: Any) -> Feature:
    return Feature(name="books", summary="", **registered)


def notes(**registered: Any) -> Feature:
    return Feature(name="notes", summary="", **registered)


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ({"jobs": [tidy]}, {"jobs": [tidy_again]}, "job books.tidy"),
        ({"checks": [check_books]}, {"checks": [check_books]}, f"check {HERE}.check_books"),
        ({"template_filters": {"shout": shout}}, {"template_filters": {"shout": shout}}, "filter or global shout"),
        (
            {"services": [Service("shop", str, shout)]},  # type: ignore[arg-type]
            {"services": [Service("shop", str, shout)]},  # type: ignore[arg-type]
            "service shop",
        ),
        ({"pages": router("/books/{id}")}, {"pages": router("/books/{name}")}, "address GET /books/{}"),
        ({"api": router("/books")}, {"api": router("/books")}, "address GET /api/v1/books"),
        (
            {"jobs": [tidy], "operations": {"Tidy up": tidy()}},
            {"operations": {"Tidy up": tidy()}},
            "operation Tidy up",
        ),
        ({"admin_operations": {"shout": shout}}, {"admin_operations": {"shout": shout}}, "operation shout"),
    ],
)
def test_double_registration_is_one_line(first: Any, second: Any, name: str) -> None:
    (line,) = registration_faults([books(**first), notes(**second)])
    assert line.startswith(f"The {name} is registered twice: in ")
    assert "(feature books)" in line
    assert line.endswith("(feature notes). Rename one.")


def test_filter_of_the_framework_is_taken() -> None:
    (line,) = registration_faults([books(template_filters={"date": shout})])
    assert "registered twice: in opportune.web.rendering.templates and in" in line


def test_operation_of_an_unlisted_job_is_one_line() -> None:
    (line,) = registration_faults([books(operations={"Tidy up": tidy()})])
    assert line == (
        f"Feature('books') queues the job books.tidy of {HERE}, which no installed feature lists: "
        "add it to jobs=[…], or install its feature."
    )


def test_installed_features_register_nothing_twice() -> None:
    assert list(registration_faults(all_features(installed_features()))) == []


def test_site_with_a_double_registration_does_not_start() -> None:
    features = [*installed_features(), books(jobs=[tidy]), notes(jobs=[tidy_again])]
    with pytest.raises(OperatorError, match=r"The job books\.tidy is registered twice"):
        create_app(settings_for("sqlite:///unused.db"), features)
