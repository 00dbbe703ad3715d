"""Compiled templates that later processes reuse. Jinja applies the filter `version` when it compiles the page."""

import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from opportune.web.rendering.compiled_templates import CompiledTemplates
from opportune.web.static import icons


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(icons, "SOURCE_FOLDERS", (tmp_path / "code",))
    return tmp_path / "code"


def render(version: str) -> str:
    pages = DictLoader({"page": "{{ 1 | version }}"})
    site = Environment(loader=pages, autoescape=True, bytecode_cache=CompiledTemplates("%s"))
    site.filters["version"] = lambda _: version
    return site.get_template("page").render()


def test_compiled_template_is_reused() -> None:
    assert [render("old"), render("new")] == ["old", "old"]


def test_templates_are_compiled_again_for_changed_code(code: Path) -> None:
    render("old")
    code.mkdir()
    (code / "filters.py").touch()
    assert render("new") == "new"


@pytest.mark.parametrize("kept_bytes", [0, 40, 400])
def test_damaged_compiled_template_is_replaced(tmp_path: Path, kept_bytes: int) -> None:
    render("old")
    [file] = (tmp_path / "share/opportune/templates").iterdir()
    file.write_bytes(file.read_bytes()[:kept_bytes])
    assert [render("new"), render("newest")] == ["new", "new"]


def test_template_is_rendered_without_a_store(tmp_path: Path) -> None:
    (tmp_path / "share").touch()
    assert render("new") == "new"
