"""Style sheet of the icons, and errors in their names."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqladmin import BaseView

from opportune.accounts.events import kinds
from opportune.application import create_app
from opportune.feature import Accounts, Admin, Feature
from opportune.web.static import icons


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folders = [tmp_path / name for name in ("templates", "static", "app")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(icons, "SOURCE_FOLDERS", folders)
    monkeypatch.setattr(icons, "SOURCE_FILES", [])
    monkeypatch.setattr(icons, "PROJECT", tmp_path)
    monkeypatch.setattr(icons, "_added", set())
    (tmp_path / "templates/page.html").write_text('<i class="ti ti-home me-1"></i>')
    (tmp_path / "app/admin.py").write_text('icon, category = "ti ti-star-filled", "Stars"')
    return tmp_path


def read_icon_names() -> list[str]:
    return re.findall(r"\.ti-([a-z0-9-]+) {", icons.style_sheet().decode())


def test_icons_of_project_exist() -> None:
    assert list(icons.find_icon_errors()) == []


def test_icons_of_features_are_in_the_sheet(project: Path, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "KINDS", {})

    class ShelfAdmin(BaseView):
        name, icon = "Shelves", "ti ti-books"

    class OldAdmin(BaseView):
        name, icon = "Old", "fa-solid fa-user"

    events = [kinds.EventKind("book_lost", "A book was lost", icon="ti-mood-sad")]
    books = Feature("books", admin=Admin([ShelfAdmin, OldAdmin]), accounts=Accounts(events=events))
    create_app(app.state.settings, [books])
    assert {"books", "mood-sad"} <= {*read_icon_names()}
    (message,) = icons.find_icon_errors()
    assert message.startswith("Tabler has no icon named fa-solid fa-user")


def test_icon_in_a_file_is_in_the_sheet(project: Path) -> None:
    assert read_icon_names() == ["home", "star-filled"]
    (project / "static/own.js").write_text("button.className = 'ti ti-arrow-big-up'")
    assert read_icon_names() == ["arrow-big-up", "home", "star-filled"]
    (project / "static/own.js").unlink()
    assert read_icon_names() == ["home", "star-filled"]


def test_unknown_icon_is_reported(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    (project / "templates/page.html").write_text('<i class="ti ti-home"></i><i class="ti ti-hoem"></i>')
    (message,) = icons.find_icon_errors()
    assert message.startswith("templates/page.html: Tabler has no icon named hoem: see https://")
    assert read_icon_names() == ["home", "star-filled"]
    assert [record.message for record in caplog.records] == [message.removeprefix("templates/page.html: ")]


@pytest.mark.parametrize(
    "text", ["<i class=\"ti ti-arrow-{{ 'up' if up else 'down' }}\"></i>", 'f"ti ti-{name}"', "{{ 'ti ti-' ~ name }}"]
)
def test_composed_class_is_reported(project: Path, text: str) -> None:
    (project / "templates/page.html").write_text(text)
    (message,) = icons.find_icon_errors()
    assert message.startswith("templates/page.html: the class of an icon is composed, so it cannot be found.")
    assert read_icon_names() == ["star-filled"]
