"""Filters and globals of templates, and rendering of single blocks."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from jinja2 import DictLoader, Environment, FileSystemLoader, StrictUndefined, UndefinedError
from starlette.requests import Request

from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.web import templates
from opportune.web.language import current_prefixes
from opportune.web.rendering.environment import TemplateEnvironment
from opportune.web.rendering.template_blocks import is_replaced, render_block


def test_texts_are_not_constant() -> None:
    source = "{{ _('b') }} {{ gettext('c') }} {{ pgettext('d', 'e') }} {{ ngettext('f', 'g', 2) }} {{ 1.5 | number }}"
    template = templates.environment.from_string(source)
    for language, text in (("xx", "[b~] [ç~] [é~] [g~] 1.5"), ("de", "b c e g 1,5")):
        with use_language(language):
            assert template.render() == text


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ('{{ url("/books/" ~ (1 + 1) ~ "?a=" ~ "b c" | urlencode) }}', "/de/books/2?a=b%20c"),
        ("{{ url(path) or none }} {{ url(url(path)) }} {{ page.url }}", "/de/a /de/a /b"),
        ('{% trans url=url("/a") %}<a href="{{ url }}">{% endtrans %}', '<a href="/de/a">'),
        ("{% macro link(path) %}{{ url(path) }}{% endmacro %}{{ link('/a') }}", "/de/a"),
        ('{{ url("/a?b=1&c=" ~ quote) }}', "/de/a?b=1&amp;c=&#34;"),
    ],
)
def test_url_adds_the_language_when_rendered(source: str, html: str) -> None:
    """Literals are not evaluated at compile time."""
    template = templates.environment.from_string(source)
    token = current_prefixes.set({"en": "", "de": "/de"})
    with use_language("de"):
        context = {"path": "/a", "page": {"url": "/b"}, "quote": '"'}
        assert template.render(context) == html
    current_prefixes.reset(token)


async def test_variable_may_not_hide_url(app: FastAPI) -> None:
    request = Request({"type": "http", "app": app, "state": {}})
    with pytest.raises(OperatorError, match="hides the function url"):
        templates.render(request, "messages_partial.html", {"url": "/books"})


def test_feature_package_replaces_a_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("opportune.web.rendering.template_blocks.FRAMEWORK", tmp_path / "opportune")
    for folder, is_of_package in (("opportune", False), ("opportune_reviews", True)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "list.html").write_text("{% block row %}{% endblock %}")
        environment = TemplateEnvironment(loader=FileSystemLoader(tmp_path / folder))
        assert is_replaced(environment, "list.html", "row") is is_of_package


BASE = "<html>{% block content %}{% endblock %}</html>"
LIST = (
    '{% extends "base" %}{% set unused = missing.text %}{% block content %}<h1>A list</h1>{% block rows %}<ul>'
    "{% for row in books %}{% block row scoped %}<li>{{ row }}</li>{% endblock %}{% endfor %}"
    "</ul>{% endblock %}{% endblock %}"
)
STYLED = '{% extends "list" %}{% block row %}<li class="styled">{{ row }}</li>{% endblock %}'
TITLED = '{% extends "styled" %}{% block rows %}<p>Title</p>{{ super() }}{% endblock %}'
TEMPLATES = {"base": BASE, "list": LIST, "styled": STYLED, "titled": TITLED}


@pytest.fixture
def environment() -> Environment:
    return TemplateEnvironment(loader=DictLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)


@pytest.mark.parametrize(
    ("name", "html"),
    [("list", "<ul><li>&lt;a&gt;</li></ul>"), ("titled", '<p>Title</p><ul><li class="styled">&lt;a&gt;</li></ul>')],
)
def test_block_uses_overrides_of_child_templates(environment: Environment, name: str, html: str) -> None:
    assert render_block(environment, name, "rows", {"books": ["<a>"]}) == html


def test_undefined_name_in_block_is_an_error(environment: Environment) -> None:
    with pytest.raises(UndefinedError, match="'books' is undefined"):
        render_block(environment, "styled", "rows", {})
