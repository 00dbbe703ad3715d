"""Routes that are analysed when somebody asks: the same in all that can be asked, and their mistakes are told."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from fastapi.routing import APIRoute

from opportune.admin import permissions
from opportune.admin.site import AdminSite
from opportune.application import create_app
from opportune.cli import check
from opportune.db import ReadSession
from opportune.errors import OperatorError
from opportune.feature import Feature
from opportune.project import installed_features
from opportune.settings import Settings
from opportune.testing.plugin import settings_for
from opportune.web.fastapi_adapter import FastRouter
from opportune.web.lazy_route_adapter import LazyRoute
from opportune.web.routing import Router

HERE = "tests/opportune/web/test_lazy_routes.py"


class Unreadable:
    """A type that Pydantic cannot read."""


async def read_page(page: Annotated[int, Query(ge=1)] = 1) -> int:
    return page


def things(route_class: type[APIRoute] = LazyRoute) -> APIRouter:
    router = APIRouter(prefix="/things", tags=["things"], route_class=route_class)

    @router.get("", responses={404: {"model": list[str]}})
    async def all_things(page: Annotated[int, Depends(read_page)]) -> dict[str, int]:
        return {"page": page}

    @router.put("/{number}", status_code=201, name="replace", deprecated=True)
    async def replace_thing(number: int, title: str) -> None: ...

    return router


def broken() -> Feature:
    router = APIRouter(route_class=LazyRoute)

    @router.get("/unreadable")
    async def unreadable(thing: Unreadable) -> None: ...

    return Feature(name="broken", summary="", pages=router)


def waiting(app: FastAPI) -> list[str]:
    """The paths of routes that nobody has asked for more than their declaration."""
    return [route.path for route in app.routes if isinstance(route, LazyRoute) and not route._is_analysed]


def production() -> Settings:
    return settings_for("sqlite:///unused.db").model_copy(update={"environment": "production", "debug": False})


def test_a_router_of_a_feature_makes_them() -> None:
    assert APIRouter().route_class is LazyRoute


@pytest.mark.parametrize("router", [Router, FastRouter])
def test_what_they_say_of_themselves_is_what_routes_of_fastapi_say(router: Callable[..., Router]) -> None:
    described = []
    for route_class in (APIRoute, LazyRoute):
        app = FastAPI()
        app.router = ours = router(dependency_overrides_provider=app)
        ours.include_flat(things(route_class), "/api", [Depends(read_page)])
        described.append((app.openapi(), app.url_path_for("replace", number=4), [str(each) for each in ours.routes]))
    assert described[0][:2] == described[1][:2]
    assert described[1][2][0].startswith("LazyRoute(path='/api/things', name='all_things', methods=['GET'])")


def test_the_model_of_an_answer_that_is_not_there_yet_is_made_by_the_first_question() -> None:
    lazy, made = things().routes[0], things(APIRoute).routes[0]
    assert isinstance(lazy, APIRoute)
    assert isinstance(made, APIRoute)
    assert not lazy._is_analysed  # type: ignore[attr-defined]
    assert (lazy.tags, lazy.unique_id) == (made.tags, made.unique_id)
    assert lazy._is_analysed  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="LazyRoute has no attribute 'colour'"):
        _ = lazy.colour  # type: ignore[attr-defined]


def test_a_site_in_production_looks_at_none_as_it_starts_and_in_development_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(permissions, "needs", set())  # which other tests and features have declared in this process
    features = [Feature(name="things", summary="", pages=things())]
    assert {"/things", "/things/{number}"} <= set(waiting(create_app(production(), features)))
    assert waiting(create_app(settings_for("sqlite:///unused.db"), features)) == []


@pytest.mark.parametrize(("settings", "makes_it"), [(production(), False), (settings_for("sqlite:///unused.db"), True)])
def test_the_admin_too_is_made_when_somebody_asks(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, makes_it: bool
) -> None:
    made: list[AdminSite] = []
    make = AdminSite.__init__

    def note(admin: AdminSite, *of: Any) -> None:
        made.append(admin)
        make(admin, *of)

    monkeypatch.setattr(AdminSite, "__init__", note)
    app = create_app(settings)
    assert bool(made) is makes_it
    assert app.url_path_for("admin:list", identity="user") == "/admin/user/list"
    assert len(made) == 1


def test_a_module_of_views_that_is_not_there_is_a_line() -> None:
    lost = Feature(name="lost", summary="", admin="opportune.lost.admin")
    with pytest.raises(OperatorError) as refused:
        create_app(settings_for("sqlite:///unused.db"), [*installed_features(), lost])
    assert str(refused.value) == "Feature('lost', admin='opportune.lost.admin'): there is no such module."


def test_a_route_that_cannot_be_made_stops_a_site_in_development_with_its_name() -> None:
    with pytest.raises(Exception, match="Invalid args for response field") as refused:
        create_app(settings_for("sqlite:///unused.db"), [*installed_features(), broken()])
    (note,) = refused.value.__notes__
    assert note.startswith(
        f"This is the route /unreadable of {__name__}.unreadable (tests/opportune/web/test_lazy_routes.py:"
    )


async def open_row(session: ReadSession) -> AsyncIterator[int]:
    yield 1


def misplaced() -> Feature:
    """FastAPI closes the session before what has taken it."""
    router = APIRouter(route_class=LazyRoute)

    @router.get("/misplaced")
    async def misplaced(row: Annotated[int, Depends(open_row)]) -> None: ...

    return Feature(name="misplaced", summary="", pages=router)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        (broken, "Invalid args for response field! Hint: check that "),
        (misplaced, 'The dependency "open_row" has a scope of "request", it cannot depend on dependencies with scope'),
    ],
)
def test_check_tells_of_a_route_that_cannot_be_made_in_a_line(
    monkeypatch: pytest.MonkeyPatch, feature: Callable[[], Feature], words: str
) -> None:
    features: Any = [*installed_features(), feature()]
    monkeypatch.setattr(check, "installed_features", lambda: features)
    (finding,) = check.check_permissions(production())
    assert finding.is_error
    assert finding.text.startswith(words)
    assert f"This is the route /{'unreadable' if feature is broken else 'misplaced'} of {__name__}." in finding.text
    assert f"({HERE}:" in finding.text
    assert "\n" not in finding.text
