"""Templates, blocks and pages that the project names and that do not exist, in `oppman.py check`."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from jinja2 import DictLoader

from opportune.application import create_app
from opportune.cli.development import project_code, references
from opportune.cli.development.references import check_references, page_exists
from opportune.cli.development.routes import Row
from opportune.config import Settings
from opportune.feature import Feature, Link, Site
from opportune.project import layout
from opportune.testing.plugin import settings_for
from opportune.web.rendering import template_errors
from opportune.web.rendering.templates import templates


@pytest.fixture(scope="module")
def site() -> FastAPI:
    return create_app(settings_for("sqlite:///nowhere.db").model_copy(update=references.ALL_PAGES))


@pytest.fixture
def project(tmp_path: Path, site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without files, whose site has the pages of the framework."""
    monkeypatch.setattr(references, "site_application", lambda _settings: site)
    monkeypatch.setattr(project_code, "PROJECT", tmp_path)
    monkeypatch.setattr(layout, "PROJECT", tmp_path)
    monkeypatch.setattr(template_errors, "TEMPLATE_FOLDERS", (tmp_path / "templates", layout.TEMPLATE_FOLDERS[-1]))
    (tmp_path / "app").mkdir()
    (tmp_path / "templates").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('templates.render(request, "nope.html")', "the template nope.html does not exist."),
        ('templates.render_block(request, "base.html", "haed")', "base.html has no block haed. Did you mean head?"),
        ('render_email(settings, to, "books/mail/due", {})', "the template books/mail/due.txt does not exist."),
        ('redirect(request, "/accounts/profil")', "no page is at /accounts/profil. Did you mean /accounts/profile? "),
        ('redirect(request, f"/nope/{row.id}")', "no page is at /nope/…. Correct it, unless another server has this"),
    ],
)
def test_missing_name_in_code_is_reported(project: Path, unopened: Settings, line: str, message: str) -> None:
    (project / "app/pages.py").write_text(f"\n{line}\n", encoding="utf-8")
    (finding,) = check_references(unopened)
    assert finding.text.startswith(f"app/pages.py:2: {message}")


@pytest.mark.parametrize("parent", ["nope.html", "list.html"])
def test_block_of_a_page_with_wrong_parent_is_accepted(
    project: Path, unopened: Settings, monkeypatch: pytest.MonkeyPatch, parent: str
) -> None:
    page = f'{{% extends "{parent}" %}}{{% block rows %}}{{% endblock %}}'
    monkeypatch.setattr(templates.environment, "loader", DictLoader({"list.html": page}))
    (project / "app/pages.py").write_text('templates.render_block(request, "list.html", "rows")', encoding="utf-8")
    assert not [*check_references(unopened)]


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ('<a href="/nope">', "/nope"),
        ("""<a href="{{ url("/nope?page=1") }}">""", "/nope?page=1"),
        ("""<a href="{{ url("/nope/" ~ row.id ~ "/edit") }}">""", "/nope/…/edit"),
        ("<button hx-post='/nope'>", "/nope"),
    ],
)
def test_link_without_page_is_reported(project: Path, unopened: Settings, link: str, path: str) -> None:
    (project / "templates/list.html").write_text(f"\n{link}", encoding="utf-8")
    (finding,) = check_references(unopened)
    assert finding.text.startswith(f"templates/list.html:2: no page is at {path}.")
    assert not finding.is_error


@pytest.mark.parametrize(("path", "exists"), [("/a/\0/b/\0", True), ("/a/\0/c/\0", False), ("/a/1/\0", True)])
def test_text_around_unknown_parts_is_compared(path: str, exists: bool) -> None:
    assert page_exists(path, [Row("/a/{x}/b/{y}", "GET", "", "")]) == exists


def test_route_name_in_a_template_is_checked(project: Path, unopened: Settings) -> None:
    (project / "templates/list.html").write_text('{{ request.url_for("nope") }}{{ url_for("admin:index") }}')
    (finding,) = check_references(unopened)
    assert finding.text == "templates/list.html:1: no route is called nope."


def test_navigation_to_no_page_is_reported(project: Path, unopened: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    books = Feature("books", site=Site(navigation=[Link("Books", "/boks", "book")]))
    monkeypatch.setattr(references, "installed_features", lambda: [books])
    (finding,) = check_references(unopened)
    assert finding.text.startswith("Feature('books'): Link('Books', …): no page is at /boks.")


@pytest.mark.parametrize(
    ("first", "second", "is_hidden"),
    [
        ("GET /books/{id}", "GET /books/order", True),
        ("GET /books/order", "GET /books/{id}", False),
        ("GET /books/{id}", "GET /books/order/form", False),
    ],
)
def test_route_behind_a_parameter_is_reported(
    project: Path, unopened: Settings, monkeypatch: pytest.MonkeyPatch, first: str, second: str, *, is_hidden: bool
) -> None:
    rows = [Row(path, methods, "", "books") for methods, path in (first.split(), second.split())]
    monkeypatch.setattr(references, "find_rows", lambda _routes: rows)
    texts = [finding.text for finding in check_references(unopened) if "hidden" in finding.text]
    line = "GET /books/order of books is hidden by /books/{id}. List its router earlier."
    assert texts == ([line] if is_hidden else [])


def test_existing_pages_have_no_finding(project: Path, unopened: Settings) -> None:
    links = ("/accounts/profile#mail", "/admin/user/list", "/static/x.css", "{{ path }}", "/{{ page }}", "//x.org/")
    html = "".join(f'<a href="{link}">' for link in links)
    (project / "templates/list.html").write_text(html, encoding="utf-8")
    code = 'templates.render_block(request, "accounts/profile.html", "content")\nredirect(request, "/")\n'
    (project / "app/pages.py").write_text(code, encoding="utf-8")
    assert [finding.text for finding in check_references(unopened)] == []


@pytest.mark.parametrize("line", ["import app.books.statistics", "from .statistics import count"])
def test_imports_within_functions_count(project: Path, line: str) -> None:
    (project / "app/books").mkdir()
    (project / "app/books/pages.py").write_text(f"def count():\n    {line}\n", encoding="utf-8")
    assert "app.books.statistics" in [*project_code.imports_in_code("statistics")]
