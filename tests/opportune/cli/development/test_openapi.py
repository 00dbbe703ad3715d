"""`openapi` and `routes`: the document, its names, generated clients, and the list of routes."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from opportune.application import create_app
from opportune.cli.development import openapi, routes
from opportune.testing.plugin import settings_for
from tests.opportune.cli.conftest import Oppman
from tests.opportune.full_disk import files_no_larger_than


def buy(_seats: list[int]) -> None: ...


@pytest.fixture(scope="module")
def site() -> FastAPI:
    site, callbacks = create_app(settings_for("sqlite:///nowhere.db")), APIRouter()
    callbacks.post("/{$request.body.url}")(buy)
    site.webhooks.post("bought", callbacks=callbacks.routes)(buy)
    return site


@pytest.fixture(autouse=True)
def _site_without_a_database(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (openapi, routes):
        monkeypatch.setattr(command, "site_application", lambda: site)


@pytest.fixture
def document(oppman: Oppman) -> Any:
    return json.loads(oppman("openapi").out)


def test_document_is_complete(document: Any) -> None:
    paths, schemas, text = document["paths"], document["components"]["schemas"], json.dumps(document)
    assert document["servers"] == [{"url": settings_for("sqlite:///nowhere.db").base_url}]
    assert paths["/api/v1/teams"]["get"]["operationId"] == "teams_list_teams"
    assert paths["/api/v1/auth/login"]["post"]["operationId"] == "login"
    assert text.count('"title": "Problem"') == 1, "errors share one schema"
    assert "HTTPValidationError" not in text
    assert schemas["Page_MemberRead_"]["title"] == "PageMemberRead"
    stream = paths["/api/v1/answers/{answer_id}/stream"]["get"]["responses"]["200"]
    assert stream["content"]["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/StreamEvent"}


def test_document_is_written_to_file(oppman: Oppman, tmp_path: Path, document: Any) -> None:
    assert oppman("openapi", "--output", str(tmp_path / "api.json")).code == 0
    assert json.loads((tmp_path / "api.json").read_text(encoding="utf-8")) == document


def test_full_disk_keeps_the_earlier_file(oppman: Oppman, tmp_path: Path) -> None:
    (tmp_path / "api.json").write_text("{}", encoding="utf-8")
    with files_no_larger_than(1000):
        outcome = oppman("openapi", "--output", str(tmp_path / "api.json"))
    assert outcome == (1, "", f"{tmp_path / 'api.json'} cannot be written: File too large.\n")
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {"api.json": "{}"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "{output} cannot be written: Is a directory."),
        (["--client", "python"], "{output} exists and is not a python client. Name a new folder with --output."),
    ],
)
def test_existing_folder_is_kept(oppman: Oppman, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "mine.py").touch()
    outcome = oppman("openapi", *arguments, "--output", str(tmp_path))
    assert outcome == (1, "", f"{message.format(output=tmp_path)}\n")


def test_failing_generator_is_an_error(oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "npx").write_text("#!/bin/sh\necho 'no network' >&2; exit 1\n", encoding="utf-8")
    (tmp_path / "npx").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = oppman("openapi", "--client", "typescript", "--output", str(tmp_path / "client"))
    assert outcome == (1, "", "The client was not generated. npx says: no network\n")


@pytest.mark.parametrize(
    ("part", "name", "message"),
    [
        ("paths", "/other", "Two operations are called teams_"),
        ("schemas", "app__books__schemas__Event", "Several schemas are called Event. Rename all but one: app__books"),
    ],
)
def test_duplicate_name_is_an_error(
    oppman: Oppman, site: FastAPI, document: Any, monkeypatch: pytest.MonkeyPatch, part: str, name: str, message: str
) -> None:
    paths = document["paths"]
    additions = paths if part == "paths" else document["components"]["schemas"]
    additions[name] = paths["/api/v1/teams"]
    changed_site = SimpleNamespace(state=site.state, openapi=lambda: document)
    monkeypatch.setattr(openapi, "site_application", lambda: changed_site)
    assert message in oppman("openapi").err


def test_document_of_the_project_is_accepted(oppman: Oppman, site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {name: {"summary": "Authors", "parameters": [], "get": {}} for name in ("/authors", "/other")}
    changed_site = SimpleNamespace(state=site.state, openapi=lambda: {"paths": paths})
    monkeypatch.setattr(openapi, "site_application", lambda: changed_site)
    assert json.loads(oppman("openapi").out)["paths"] == paths


def test_routes_are_sorted_and_filtered(oppman: Oppman) -> None:
    heading, *lines = [line.split() for line in oppman("routes").out.splitlines()]
    assert heading == ["PATH", "METHODS", "NAME", "FROM"]
    assert ["/health", "GET,HEAD,OPTIONS", "health", "web"] in lines
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)
    health_lines = oppman("routes", "HEALTH").out.splitlines()[1:]
    assert health_lines
    assert all("health" in line for line in health_lines)
    assert oppman("routes", "xyzzy") == (1, "", "No address, name or feature contains 'xyzzy'.\n")
