"""The generated logo."""

from pathlib import Path

import pytest

from opportune.project.layout import FRAMEWORK
from opportune.web.static import logo
from opportune.web.static.files import Assets


@pytest.mark.parametrize(("name", "letter"), [("bookshelf", "B"), ("«Étagère»", "É"), ("3D & Co", "3"), ("!", "•")])
def test_logo_has_first_letter_of_the_name(name: str, letter: str) -> None:
    svg = logo.draw(name, "#0f766e").decode()
    assert f">{letter}</text>" in svg
    assert 'fill="#0f766e"' in svg


def test_site_without_logo_has_generated_one(tmp_path: Path) -> None:
    (tmp_path / "colours.css").write_text(":root { --tblr-primary: #be123c; }")
    assets = Assets(tmp_path)
    assets.site_name = "Harbour"
    content = assets.content("icon.svg").decode()
    assert "H</text>" in content
    assert '"#be123c"' in content


def test_logo_of_the_project_replaces_generated_one(tmp_path: Path) -> None:
    logo_file = FRAMEWORK / "static" / "icon.svg"
    (tmp_path / "icon.svg").write_bytes(logo_file.read_bytes())
    assert Assets(tmp_path).content("icon.svg") == logo_file.read_bytes()
