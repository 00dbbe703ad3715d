"""Errors in a project's templates. `check` and the start of the site report each in one line."""

from pathlib import Path

import pytest

from opportune.cli.development import startup
from opportune.errors import OperatorError
from opportune.feature import Feature, Site
from opportune.project.layout import FRAMEWORK
from opportune.testing.plugin import settings_for
from opportune.web.rendering import template_errors as module
from opportune.web.rendering.template_errors import missing_feature_templates, template_errors, unused_templates


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the project's templates."""
    monkeypatch.setattr(module, "TEMPLATE_FOLDERS", (tmp_path, FRAMEWORK / "templates"))
    return tmp_path


def write(templates: Path, name: str, text: str) -> None:
    (templates / name).parent.mkdir(parents=True, exist_ok=True)
    (templates / name).write_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% block content %}\n{% endblok %}", ":2: Encountered unknown tag 'endblok'."),
        ("\n{{ 1 | roman }}", ":2: No filter named 'roman'."),
        ("{% extends 'bsae.html' %}", ":1: the template bsae.html does not exist."),
        ("\n{% include ['a.html', 'b.html'] %}", ":2: the template a.html or b.html does not exist."),
        (
            "{% from 'macros/forms.html' import form_field %}",
            ":1: the macro form_field of macros/forms.html does not exist. Did you mean form_fields?",
        ),
        ("\n{{ asset('books.css') }}", ":2: the file static/books.css does not exist."),
    ],
)
def test_error_is_reported_with_its_file(templates: Path, text: str, message: str) -> None:
    write(templates, "books/list.html", text)
    (line,) = template_errors()
    assert line.startswith(f"{templates}/books/list.html{message}")


@pytest.mark.parametrize(
    ("name", "new"),
    [("teams/new.html", "teams/create.html"), ("books/old_book_confirm_delete.html", "books/old_book_delete.html")],
)
def test_renamed_template_is_reported(templates: Path, name: str, new: str) -> None:
    write(templates, name, "Mine")
    for lines in (template_errors(), template_errors(only_overrides=True)):
        assert list(lines) == [f"{templates}/{name} has no effect. It is called {new} now."]
    assert list(unused_templates()) == []


def test_template_that_replaces_nothing_is_reported(templates: Path) -> None:
    write(templates, "accounts/profil.html", "Mine")
    write(templates, "accounts/user_list.html", "Page of CRUD")
    message = "replaces no template, and no code names it. Did you mean accounts/profile.html?"
    assert list(unused_templates()) == [f"{templates}/accounts/profil.html {message}"]


def test_invalid_utf_8_is_reported(templates: Path) -> None:
    (templates / "list.html").write_bytes(b"\xff\xfe")
    assert list(template_errors()) == [f"{templates}/list.html is not valid UTF-8. Save it in UTF-8."]


def test_valid_templates_have_no_errors(templates: Path) -> None:
    write(templates, "base.html", "{% extends 'opportune/base.html' %}{% block title %}Mine{% endblock %}")
    write(templates, "books/mail/due.txt", "{% include 'base.html' %} {{ now | datetime }}")
    write(templates, "books/optional.html", "{% include 'nowhere.html' ignore missing %}{{ asset('site.css') }}")
    write(templates, "books/first.html", "{% include ['nowhere.html', 'base.html'] %}{{ asset(name) }}")
    assert list(template_errors()) == []


def test_start_checks_overridden_base_template(templates: Path) -> None:
    settings = settings_for("sqlite:///unused.db")
    write(templates, "books/list.html", "{% broken %}")
    startup.validate_configuration(settings)
    write(templates, "base.html", "{% broken %}")
    with pytest.raises(OperatorError, match=r"base\.html:1: Encountered unknown tag 'broken'\."):
        startup.validate_configuration(settings)


def test_missing_navigation_template_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Feature("shop", site=Site(navigation_template="shop/menu.html"))
    assert list(missing_feature_templates([shop])) == ["Feature('shop'): the template shop/menu.html does not exist."]
    monkeypatch.setattr(startup, "installed_features", lambda: [shop])
    with pytest.raises(OperatorError, match=r"template shop/menu\.html does not exist\.$"):
        startup.validate_configuration(settings_for("sqlite:///unused.db"))
