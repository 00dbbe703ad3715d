import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from opportune.web.rendering.compiled_templates import CompiledTemplates


def environment(folder: Path, text: str) -> Environment:
    return Environment(
        loader=DictLoader({"page.html": text}), autoescape=True, bytecode_cache=CompiledTemplates(folder)
    )


def shown(folder: Path, text: str) -> str:
    return environment(folder, text).get_template("page.html").render(name="<Ada>")


@pytest.fixture(autouse=True)
def _as_python_is_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_a_template_is_compiled_once_for_all_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "templates"
    assert shown(folder, "Hello {{ name }}") == "Hello &lt;Ada&gt;"
    assert len(list(folder.iterdir())) == 1
    again = environment(folder, "Hello {{ name }}")
    monkeypatch.setattr(again, "compile", lambda *_, **__: pytest.fail("compiled anew"))
    assert again.get_template("page.html").render(name="Bob") == "Hello Bob"


def test_one_that_was_changed_is_compiled_anew_in_the_same_file(tmp_path: Path) -> None:
    shown(tmp_path, "Hello {{ name }}")
    assert shown(tmp_path, "Bye {{ name }}") == "Bye &lt;Ada&gt;"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_compiled_template_is_written_over(tmp_path: Path) -> None:
    shown(tmp_path, "Hello {{ name }}")
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"nonsense")
    assert shown(tmp_path, "Hello {{ name }}") == "Hello &lt;Ada&gt;"


def test_where_nothing_can_be_written_there_are_templates_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert shown(tmp_path / "file", "Hello {{ name }}") == "Hello &lt;Ada&gt;"


def test_who_wants_no_bytecode_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert shown(tmp_path, "Hello {{ name }}") == "Hello &lt;Ada&gt;"
    assert list(tmp_path.iterdir()) == []
