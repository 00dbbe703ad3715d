"""`openapi`: the document, its names, and generated clients."""

import json
from pathlib import Path
from typing import Any

import pytest

from opportune.application import create_app
from opportune.cli.development import openapi
from opportune.cli.main import main
from opportune.testing.plugin import settings_for


@pytest.fixture(autouse=True)
def _site_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "application", lambda: create_app(settings_for("sqlite:///nowhere.db")))


@pytest.fixture
def document(capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["openapi"]) == 0
    return json.loads(capsys.readouterr().out)


def test_operation_ids_are_tag_and_name(document: Any) -> None:
    assert document["paths"]["/api/v1/teams"]["get"]["operationId"] == "teams_list_teams"
    assert document["paths"]["/api/v1/auth/login"]["post"]["operationId"] == "login"


def test_document_names_the_server(document: Any) -> None:
    assert document["servers"] == [{"url": settings_for("sqlite:///nowhere.db").base_url}]


def test_errors_share_one_schema(document: Any) -> None:
    text = json.dumps(document)
    assert text.count('"title": "Problem"') == 1
    assert "HTTPValidationError" not in text


def test_event_stream_has_schema(document: Any) -> None:
    response = document["paths"]["/api/v1/answers/{answer_id}/stream"]["get"]["responses"]["200"]
    assert response["content"]["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/StreamEvent"}


def test_titles_of_generic_schemas_are_distinct(document: Any) -> None:
    assert document["components"]["schemas"]["Page_MemberRead_"]["title"] == "PageMemberRead"


def test_document_is_written_to_file(tmp_path: Path, document: Any) -> None:
    assert main(["openapi", "--output", str(tmp_path / "api.json")]) == 0
    assert json.loads((tmp_path / "api.json").read_text(encoding="utf-8")) == document


def test_unwritable_file_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi", "--output", str(tmp_path)]) == 1
    assert capsys.readouterr() == ("", f"{tmp_path} cannot be written: Is a directory.\n")


def test_folder_with_other_files_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi", "--client", "python", "--output", str(tmp_path)]) == 1
    message = f"{tmp_path} exists and is not a python client. Name a new folder with --output.\n"
    assert capsys.readouterr() == ("", message)


def test_missing_npx_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["openapi", "--client", "typescript", "--output", str(tmp_path / "client")]) == 1
    assert capsys.readouterr() == ("", "npx is not installed. Install Node.js 20 or newer.\n")


def test_failing_generator_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "npx"
    program.write_text("#!/bin/sh\necho 'no network' >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert main(["openapi", "--client", "typescript", "--output", str(tmp_path / "client")]) == 1
    assert capsys.readouterr() == ("", "The client was not generated. npx says: no network\n")


def test_same_operation_id_is_an_error(
    document: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document["paths"]["/other"] = document["paths"]["/api/v1/teams"]
    monkeypatch.setattr(openapi, "application", lambda: _Site(document))
    assert main(["openapi"]) == 1
    assert "Two operations are called teams_" in capsys.readouterr().err


def test_same_schema_name_is_an_error(
    document: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document["components"]["schemas"]["app__books__schemas__Event"] = {}
    monkeypatch.setattr(openapi, "application", lambda: _Site(document))
    assert main(["openapi"]) == 1
    assert "Several schemas are called Event. Rename all but one: app__books" in capsys.readouterr().err


class _Site:
    def __init__(self, document: Any) -> None:
        self.state = create_app(settings_for("sqlite:///nowhere.db")).state
        self.openapi = lambda: document
