"""Rules of the project that linters cannot check, and names in its documentation."""

import re
from collections.abc import Callable, Iterator
from inspect import isasyncgenfunction, isclass, iscoroutinefunction
from pathlib import Path
from pkgutil import resolve_name

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route

from opportune.application import create_app
from opportune.cli.registry import MODULES, feature_modules, help_line
from opportune.project.layout import PROJECT
from opportune.testing.plugin import settings_for
from tests.opportune.test_project import project_files

CODE_BLOCK = re.compile("^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")

COMMAND = re.compile(r'(?:python3? oppman\.py|"oppman\.py",) "?([a-z]+)\b(?![.-])')
COMMANDS_OF_EXAMPLES = {"books", "handbook"}
"""Commands that examples of the documentation add."""
MODULE_NAME = re.compile(r"\bopportune(?:\.[a-z_]+)+\b")
OTHER_DOTTED_NAMES = {"opportune.security", "opportune.security.fuzz", "opportune.state.jobs.enqueue"}
"""Loggers, a program of the tests, and an attribute of a project's application."""


def test_commands_are_documented() -> None:
    documented = (PROJECT / "docs/commands.md").read_text()
    modules = MODULES | {name: module for name, module in feature_modules().items() if module.startswith("opportune.")}
    assert [name for name in modules if f"| `{name}` | {help_line(modules[name])} |" not in documented] == []


def test_pages_name_existing_commands_and_modules() -> None:
    texts = [(PROJECT / name).read_text() for name in project_files() if name.endswith(".md") or name == "Dockerfile"]
    named = {name for text in texts for name in COMMAND.findall(text)}
    assert {"quickstart", "startapp"} < named
    assert named - {*MODULES, *feature_modules(), *COMMANDS_OF_EXAMPLES} == set()
    pages = [page for page in (PROJECT / "docs").rglob("*.md") if page.stem not in ("changelog", "upgrading")]
    named = {name for page in pages for name in MODULE_NAME.findall(page.read_text())}
    for name in named - OTHER_DOTTED_NAMES:
        assert resolve_name(name)


def test_links_in_docs_are_valid() -> None:
    pages = [PROJECT / name for name in project_files() if name.endswith(".md")]
    texts = {page: CODE_BLOCK.sub("", page.read_text()) for page in pages}
    parts = {page: re.findall("^#+ (.*)", text, re.MULTILINE) for page, text in texts.items()}
    headings = {page: {heading_anchor(heading) for heading in found} for page, found in parts.items()}
    broken_links = []
    for page, text in texts.items():
        for target in LINK.findall(text):
            path, _, heading = target.partition("#")
            target_path = (page.parent / path).resolve() if path else page
            if not target_path.exists() or (heading and target_path in texts and heading not in headings[target_path]):
                broken_links.append(f"{page.relative_to(PROJECT)}: {target}")
    assert broken_links == []


def heading_anchor(heading: str) -> str:
    """Return GitHub's heading_anchor of a heading."""
    return re.sub(r"[^\w -]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()).replace(" ", "-")


def test_no_file_names_an_index_or_a_machine_path() -> None:
    forbidden = re.compile(r"/(root|work|home/\w+)/|pypi\.org|pythonhosted|registry\.npmjs")
    texts = [name for name in project_files() if not name.endswith((".png", ".webp", ".ico"))]
    names = [name for name in texts if forbidden.search((PROJECT / name).read_text())]
    assert names == [str(Path(__file__).relative_to(PROJECT))]


def test_locks_have_hashes_and_no_url() -> None:
    for lock in (*PROJECT.glob("*.lock"), *PROJECT.glob("requirements/*.lock")):
        text = lock.read_text()
        assert "://" not in text
        for entry in re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in entry, entry


def called_functions(dependant: Dependant) -> Iterator[Callable[..., object]]:
    for dependency in dependant.dependencies:
        if dependency.call:
            yield dependency.call
        yield from called_functions(dependency)


def test_dependencies_of_routes_are_async() -> None:
    # FastAPI runs plain functions in a thread, which takes longer than most of them.
    app = create_app(settings_for("sqlite:///unused.db"))
    assert all(isinstance(route, Route | Mount) for route in app.routes), "nested routers are not checked"
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    calls = {call for route in routes for call in called_functions(route.dependant)}
    assert len(routes) > 20
    assert len(calls) > 3
    assert [call for call in calls if not isclass(call) and not is_awaited(call)] == []


def is_awaited(call: Callable[..., object]) -> bool:
    return any(
        iscoroutinefunction(function) or isasyncgenfunction(function) for function in (call, type(call).__call__)
    )
