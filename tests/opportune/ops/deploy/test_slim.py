"""The smaller environment of an image."""

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from opportune.ops.deploy import slim
from opportune.web.rendering import icons


def test_unused_icons_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("outline/home.svg", "outline/star.svg", "filled/star.svg", "filled/home.svg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(icons, "svg_folder", lambda: tmp_path)
    slim.delete_unused_icons(frozenset({"home", "star-filled"}))
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.svg")} == {
        "outline/home.svg",
        "filled/star.svg",
    }


def test_tests_and_sources_of_libraries_are_deleted(tmp_path: Path) -> None:
    for name in ("library/__init__.py", "library/py.typed", "library/fast.pyx", "library/fast.h", "library/tests/a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    slim.delete_unused_files(tmp_path)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"__init__.py", "py.typed"}


def test_formats_of_used_languages_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "babel/locale-data"
    folder.mkdir(parents=True)
    names = {"root", "en_GB", "de", "de_AT", "zh_Hans", "pt_BR", "it", "it_CH"}
    for name in names:
        (folder / f"{name}.dat").touch()
    slim.delete_unused_locales(tmp_path, ["en", "pt-BR"])
    assert {path.stem for path in folder.iterdir()} == names - {"it", "it_CH"}


def test_only_imported_modules_are_compiled(tmp_path: Path) -> None:
    reached, other = tmp_path / "reached.py", tmp_path / "other.py"
    for path in (reached, other):
        path.write_text("x = 1\n")
        subprocess.run([sys.executable, "-m", "py_compile", path], check=True)
    slim.compile_only(tmp_path, [reached, Path(__file__)])
    assert [path.name.split(".")[0] for path in tmp_path.rglob("*.pyc")] == ["reached"]


def test_bytecode_runs_without_docstrings(tmp_path: Path) -> None:
    library = tmp_path / "library.py"
    library.write_text(
        '"""A library."""\n'
        "from __future__ import annotations\n"
        "from typing import Annotated\n"
        "def Doc(text): return text\n"
        "class Price:\n"
        '    """In cents."""\n'
        "    def __str__(self):\n"
        '        """With a sign."""\n'
        '        return "5 cents"\n'
        'PARAMETER = Annotated[int, Doc("""Of a price.""")]\n'
    )
    slim.compile_only(tmp_path, [library])
    library.write_text("")  # Python uses the bytecode without checking the source
    script = "import library as l; print(l.__doc__, l.Price.__doc__, l.Price.__str__.__doc__, l.PARAMETER, l.Price())"
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout == "- - - typing.Annotated[int, '-'] 5 cents\n"


def test_deferred_imports_are_included(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "books.py").write_text("import json\ndef read():\n    from pypdf import PdfReader\n")
    (tmp_path / "testing").mkdir()
    (tmp_path / "testing" / "plugin.py").write_text("import pytest\n")
    monkeypatch.setattr(slim, "FRAMEWORK", tmp_path)
    monkeypatch.setattr(slim, "PROJECT", tmp_path)
    assert {*slim.imported_names()} == {f"{tmp_path.name}.books", "json", "pypdf.PdfReader"}


def test_bill_of_materials_lists_packages_with_licenses() -> None:
    components = {part["name"]: part for part in slim.components(distributions())}
    assert components["fastapi-users"]["purl"].startswith("pkg:pypi/fastapi-users@")
    assert components["fastapi"]["licenses"] == [{"expression": "MIT"}]
    assert components["jinja2"]["licenses"] == [{"license": {"name": "BSD License"}}]


def test_other_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not the environment of this Python"):
        slim.slim(tmp_path)
