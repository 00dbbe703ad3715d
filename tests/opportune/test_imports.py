"""Short import paths for projects, as docs/imports.md lists them."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from opportune.project.layout import FRAMEWORK, PROJECT
from tests.opportune.guides import code_blocks, read_guide

IMPORT = re.compile(r"^(?:from opportune[^\n(]*(?:\([^)]*\))?|import opportune[^\n]*)$", re.MULTILINE)
ROW = re.compile(r"^\| (`.*?`) \|", re.MULTILINE)


def read_listed_names() -> dict[str, set[str]]:
    """Return the names in the tables of the guide by module."""
    sections = re.split(r"^## `([\w.]+)`$", read_guide("imports.md"), flags=re.MULTILINE)
    tables = zip(sections[1::2], sections[2::2], strict=True)
    return {module: set(re.findall(r"`(\w+)`", " ".join(ROW.findall(text)))) for module, text in tables}


LISTED_NAMES = read_listed_names()


def find_imports(code: str) -> Iterator[tuple[str, str]]:
    """Yield imported modules of the framework with the imported name, which is empty for whole modules."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "opportune":
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "opportune")


def find_unlisted_imports(code: str) -> list[str]:
    """Return imports that the guide does not list."""
    return [
        f"{module}: {name}"
        for module, name in find_imports(code)
        if not (name in LISTED_NAMES.get(module, ()) or f"{module}.{name}".strip(".") in LISTED_NAMES)
    ]


@pytest.mark.parametrize("module", LISTED_NAMES)
def test_listed_names_can_be_imported(module: str) -> None:
    assert [name for name in LISTED_NAMES[module] if not hasattr(import_module(module), name)] == []


@pytest.mark.parametrize(
    "package", [module for module in LISTED_NAMES if (FRAMEWORK / module.partition(".")[2]).is_dir()]
)
def test_package_exports_what_the_guide_lists(package: str) -> None:
    assert set(import_module(package).__all__) == LISTED_NAMES[package]


def test_project_imports_listed_paths_only() -> None:
    paths = {str(path.relative_to(PROJECT)): path for path in (PROJECT / "app").rglob("*.py")}
    unlisted_imports = {name: find_unlisted_imports(path.read_text()) for name, path in paths.items()}
    assert unlisted_imports
    assert {name: paths for name, paths in unlisted_imports.items() if paths} == {}


@pytest.mark.parametrize("guide", sorted((PROJECT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_guides_import_listed_paths_only(guide: Path) -> None:
    examples = code_blocks(guide.read_text(encoding="utf-8"))
    imports = [line for code in examples for line in IMPORT.findall(code)]
    assert find_unlisted_imports("\n".join(imports)) == []
