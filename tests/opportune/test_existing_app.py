"""`opportune.mount` in the application of tests/opportune/heroes, with the code of docs/existing-app.md."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.types import Message

import opportune
from opportune.cli.environment import existing_app as command_line
from opportune.config.settings import Settings
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK
from opportune.testing.services.postgres import Postgres
from opportune.web.routing.router import LIFESPAN_REPLACED
from tests.opportune.guides import code_blocks, read_guide

HEROES = Path(__file__).with_name("heroes")


@pytest.fixture(scope="module")
def visits(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Results of visits.py, in a folder that has only the application and the installed framework."""
    folder: Path = tmp_path_factory.mktemp("heroes")
    (folder / "site-packages").mkdir()
    (folder / "site-packages/opportune").symlink_to(FRAMEWORK, target_is_directory=True)
    addition, permission = code_blocks(read_guide("existing-app.md"))
    shutil.copytree(HEROES, folder / "heroes")
    with (folder / "heroes/main.py").open("a", encoding="utf-8") as main:
        main.write(f"\n{permission}\n{addition}")
    (folder / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "heroes.main:app"\n', encoding="utf-8")
    name = f"heroes_{os.getpid()}"
    url = postgres_server.create_database(name).replace("postgresql://", "postgresql+psycopg://", 1)
    done = subprocess.run(
        [sys.executable, "-m", "heroes.visits"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "site-packages"), "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    yield json.loads(done.stdout.splitlines()[-1])
    postgres_server.drop_database(name)


def test_routes_stay_as_they_are(visits: dict[str, Any]) -> None:
    assert visits["/heroes/"] == [200, [{"name": "Deadpond", "age": None, "id": 1, "is_trained": False}]]
    assert visits["/heroes/7"] == [404, {"detail": "Hero not found"}]
    assert visits["/heroes/x"][1]["detail"][0]["type"] == "int_parsing"
    assert visits["/divide"] == [418, {"message": "Oops!"}]
    assert visits["/health"] == [200, "fine"]
    assert visits["/nowhere"] == visits["/"] == [404, {"detail": "Not Found"}]
    assert visits["own headers"] == ["content-length", "content-type", "x-heroes"]
    assert visits["foreign form"] == visits["large body"] == 200


def test_routes_of_the_application_have_rate_limits(visits: dict[str, Any]) -> None:
    assert visits["limited"] == [200, 429]


def test_browsers_and_anonymous_visitors_sign_in(visits: dict[str, Any]) -> None:
    assert visits["start page"] == [303, "/accounts/profile"]
    assert visits["anonymous program"] == 401
    assert visits["anonymous browser"] == [303, "/accounts/login"]


def test_commands_are_those_of_the_application(visits: dict[str, Any]) -> None:
    assert visits["hint"].endswith("Run: python -m opportune migrate")
    assert visits["commands"] == [0, 0, 0, 2]


def test_documentation_stays_as_it_is(visits: dict[str, Any]) -> None:
    assert visits["docs"] == 200
    heroes = ["/heroes/", "/heroes/{hero_id}", "/heroes/{hero_id}/secret", "/heroes/{hero_id}/train"]
    assert visits["paths"] == ["/divide", "/health", *heroes]


def test_migrate_adds_only_own_tables(visits: dict[str, Any]) -> None:
    assert {"hero", "user", "accounts_user", "jobs_job", "opportune_version"} <= {*visits["tables"]}
    assert "alembic_version" not in visits["tables"]


def test_routes_of_the_application_check_users(visits: dict[str, Any]) -> None:
    assert visits["token"] == visits["cookie"] == 200
    assert visits["cookie of another site"] == 403
    assert visits["cookies"] == ["browser", "opportune_session"]
    assert [visits["superuser may"], visits["user may not"]] == [200, 403]


def test_job_and_admin_change_models_of_the_application(visits: dict[str, Any]) -> None:
    assert visits["trained"]
    assert visits["admin"] == [200, True, "Assemble!"]
    assert visits["created"] == [303, "Spider-Boy"]
    assert visits["log"]


def test_pages_need_the_lifespan(visits: dict[str, Any]) -> None:
    status, text = visits["without lifespan"]
    assert status == 418
    assert text.startswith("Opportune has not started")


def mount(app: Any, database: Any = None, settings: Settings | None = None) -> FastAPI:
    return opportune.mount(app, database, settings=settings or Settings(_env_file=None, environment="test"))


def with_route(path: str) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix=path)
    router.add_api_route("/login", lambda: "theirs")
    app.include_router(router)
    return app


def mounted() -> FastAPI:
    app = FastAPI()
    mount(app)
    return app


def started() -> FastAPI:
    app = FastAPI()
    TestClient(app).get("/")
    return app


@pytest.mark.parametrize(
    ("make_app", "database", "message"),
    [
        (APIRouter, None, "needs the FastAPI application, not APIRouter"),
        (mounted, None, "was called twice"),
        (started, None, "after the application had started"),
        (lambda: with_route("/accounts"), None, "a route for /accounts/login"),
        (FastAPI, 5, "cannot use int as a database"),
        (FastAPI, "sqlite://", r"The database of opportune\.mount\(\) has no file"),
    ],
)
def test_mistakes_end_the_process_with_one_line(make_app: Callable[[], Any], database: Any, message: str) -> None:
    app = make_app()
    with pytest.raises(SystemExit, match=message) as error:
        mount(app, database)
    assert "\n" not in str(error.value)


def test_production_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("SECRET_KEY", "")
    with pytest.raises(SystemExit, match="SECRET_KEY is missing"):
        opportune.mount(FastAPI(), "sqlite:///x.db")


def test_later_route_prevents_the_start(tmp_path: Path) -> None:
    app = FastAPI()
    mount(app, f"sqlite:///{tmp_path}/x.db")
    app.mount("/admin", FastAPI())
    with pytest.raises(OperatorError, match="a route for /admin"), TestClient(app):
        pass


@pytest.mark.parametrize("is_mounted", [True, False])
async def test_replaced_lifespan_prevents_the_start(tmp_path: Path, *, is_mounted: bool) -> None:
    app = FastAPI()
    site = mount(app, f"sqlite:///{tmp_path}/x.db")
    server_app = app if is_mounted else site
    async with server_app.router.lifespan_context(server_app):
        pass  # an earlier start does not count
    server_app.router.lifespan_context = FastAPI().router.lifespan_context
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(OperatorError, match="was replaced"):
        await server_app({"type": "lifespan", "state": {}}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": LIFESPAN_REPLACED}]


def test_pages_precede_routes_for_all_paths(tmp_path: Path) -> None:
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.mount("/", StaticFiles(directory=HEROES))
    mount(app, f"sqlite:///{tmp_path}/x.db")
    with TestClient(app) as client:
        assert client.get("/accounts/login").headers["content-type"].startswith("text/html")
        assert "FastAPI's tutorial" in client.get("/main.py").text
        assert client.get("/", headers={"accept": "text/html"}).status_code == 404  # the application's


@pytest.mark.parametrize(
    ("files", "module"),
    [
        ({"app/__init__.py": "", "app/main.py": ""}, "app.main"),
        ({"shop.py": "", "pyproject.toml": '[tool.fastapi]\nentrypoint = "shop:app"'}, "shop"),
    ],
)
def test_commands_find_app(files: dict[str, str], module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "app", raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert command_line.find_application() == module


def test_commands_name_a_missing_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "app", raising=False)
    (tmp_path / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "nothing.main:app"', encoding="utf-8")
    with pytest.raises(OperatorError, match=r"write into pyproject\.toml"):
        command_line.find_application()
    for name, value in {"HAS_PROJECT": False, "_offer_commands": list, "run_command_line": lambda: 7}.items():
        monkeypatch.setattr(command_line, name, value)
    monkeypatch.setattr(sys, "argv", ["opportune", "migrate", "-h"])
    assert command_line.main() == 7, "the help needs no application"
