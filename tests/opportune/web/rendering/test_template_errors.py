"""A project's templates with mistakes: each is one line with its file, in `check` and at the start."""

from pathlib import Path

import pytest

from opportune.cli.development import startup
from opportune.config.project import FRAMEWORK
from opportune.errors import OperatorError
from opportune.feature import Feature, Panel
from opportune.mail.templates import environment
from opportune.testing.plugin import settings_for
from opportune.web.rendering import template_errors as module
from opportune.web.rendering.template_errors import missing_parts, template_errors


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's folder of templates, empty at first."""
    monkeypatch.setattr(module, "TEMPLATE_FOLDERS", (tmp_path, FRAMEWORK / "templates"))
    return tmp_path


def write(templates: Path, name: str, text: str) -> None:
    (templates / name).parent.mkdir(parents=True, exist_ok=True)
    (templates / name).write_text(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% block content %}\n{% endblok %}", ":2: Encountered unknown tag 'endblok'."),
        ("{{ user.name", ":1: unexpected end of template"),
        ("\n{{ 1 | roman }}", ":2: No filter named 'roman'."),
        ("{% extends 'bsae.html' %}", ":1: there is no template bsae.html."),
        ("\n{% include ['a.html', 'b.html'] %}", ":2: there is no template a.html or b.html."),
        ("\n{{ asset('books.css') }}", ":2: there is no file static/books.css."),
    ],
)
def test_a_mistake_is_one_line_with_its_file(templates: Path, text: str, said: str) -> None:
    write(templates, "books/list.html", text)
    (line,) = template_errors()
    assert line.startswith(f"{templates}/books/list.html{said}")


def test_a_filter_of_pages_that_mails_do_not_have_is_one_line(templates: Path) -> None:
    write(templates, "books/mail/due.html", "{{ price | money('EUR') }} {{ about | markdown }}")
    write(templates, "books/mail.html", "{{ about | markdown }}")
    write(templates, "mail/list.html", "{{ about | markdown }}")
    lines = list(template_errors(mails=environment))
    assert lines == [f"{templates}/books/mail/due.html:1: No filter named 'markdown'."]


def test_what_is_no_text_is_one_line(templates: Path) -> None:
    (templates / "list.html").write_bytes(b"\xff\xfe")
    assert list(template_errors()) == [f"{templates}/list.html is no text in UTF-8: save it as such."]


def test_templates_without_mistakes_say_nothing(templates: Path) -> None:
    write(templates, "base.html", "{% extends 'opportune/base.html' %}{% block title %}Mine{% endblock %}")
    write(templates, "books/mail/due.txt", "{% include 'base.html' %} {{ now | datetime }}")
    write(templates, "books/may_lack.html", "{% include 'nowhere.html' ignore missing %}{{ asset('site.css') }}")
    write(templates, "books/first.html", "{% include ['nowhere.html', 'base.html'] %}{{ asset(name) }}")
    assert list(template_errors()) == []


def test_the_project_s_and_the_framework_s_own_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(template_errors()) == []
    monkeypatch.setattr(module, "TEMPLATE_FOLDERS", (tmp_path, FRAMEWORK / "templates"))
    assert list(template_errors()) == []


def test_the_start_looks_at_those_that_all_pages_begin_with(templates: Path) -> None:
    settings = settings_for("sqlite:///unused.db")
    write(templates, "books/list.html", "{% broken %}")
    startup.read_addresses(settings)
    write(templates, "base.html", "{% broken %}")
    with pytest.raises(OperatorError, match=r"base\.html:1: Encountered unknown tag 'broken'\. .*mend it"):
        startup.read_addresses(settings)


def test_a_template_that_a_feature_adds_to_all_pages_and_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Feature(name="shop", summary="", navigation_template="shop/menu.html")
    assert list(missing_parts([shop])) == ["Feature('shop'): there is no template shop/menu.html."]
    monkeypatch.setattr(startup, "installed_features", lambda: [shop])
    with pytest.raises(OperatorError, match=r"no template shop/menu\.html\.$"):
        startup.read_addresses(settings_for("sqlite:///unused.db"))


def test_a_panel_s_template_that_is_not_there_is_one_line() -> None:
    async def context(_session: object, _user: object) -> dict[str, object]:
        return {}

    shop = Feature(
        name="shop",
        summary="",
        profile_panel=Panel("shop/panel.html", context),
        home_card=Panel("base.html", context),
    )
    assert list(missing_parts([shop])) == ["Feature('shop'): there is no template shop/panel.html."]
