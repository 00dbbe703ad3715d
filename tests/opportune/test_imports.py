"""What a project imports of the framework: short paths, which docs/imports.md lists."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from opportune.config.project import FRAMEWORK, PROJECT

GUIDE = (PROJECT / "docs/imports.md").read_text(encoding="utf-8")
IMPORT = re.compile(r"^(?:from opportune[^\n(]*(?:\([^)]*\))?|import opportune[^\n]*)$", re.MULTILINE)
ROW = re.compile(r"^\| (`.*?`) \|", re.MULTILINE)


def listed() -> dict[str, set[str]]:
    """The names of the guide's tables, by the module in the heading above them."""
    sections = re.split(r"^## `([\w.]+)`$", GUIDE, flags=re.MULTILINE)
    tables = zip(sections[1::2], sections[2::2], strict=True)
    return {module: set(re.findall(r"`(\w+)`", " ".join(ROW.findall(text)))) for module, text in tables}


LISTED = listed()


def imported(code: str) -> Iterator[tuple[str, str]]:
    """Each module of the framework that is imported, with the name that is wanted of it, if it is not all of it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "opportune":
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "opportune")


def deeper(code: str) -> list[str]:
    """What is imported and not listed."""
    return [
        f"{module}: {name}"
        for module, name in imported(code)
        if not (name in LISTED.get(module, ()) or f"{module}.{name}".strip(".") in LISTED)
    ]


@pytest.mark.parametrize("module", LISTED)
def test_every_name_of_the_guide_can_be_imported(module: str) -> None:
    missing = [name for name in LISTED[module] if not hasattr(import_module(module), name)]
    assert missing == []


@pytest.mark.parametrize("package", [module for module in LISTED if (FRAMEWORK / module.partition(".")[2]).is_dir()])
def test_a_package_exports_what_the_guide_lists_and_nothing_else(package: str) -> None:
    assert set(import_module(package).__all__) == LISTED[package]


def test_paths_are_short() -> None:
    assert max(module.count(".") for module in LISTED) == 2
    assert len(LISTED) > 10


def test_a_project_imports_nothing_deeper() -> None:
    found = {str(path.relative_to(PROJECT)): deeper(path.read_text()) for path in (PROJECT / "app").rglob("*.py")}
    assert found
    assert {name: paths for name, paths in found.items() if paths} == {}


@pytest.mark.parametrize("guide", sorted((PROJECT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_examples_of_the_guides_import_nothing_deeper(guide: Path) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", guide.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    imports = [line for code in examples for line in IMPORT.findall(code)]
    assert deeper("\n".join(imports)) == []
