"""Rendering of single blocks."""

import pytest
from jinja2 import DictLoader, Environment, StrictUndefined, UndefinedError

from opportune.web.rendering.environment import TemplateEnvironment, render_block

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
    [
        ("list", "<ul><li>&lt;a&gt;</li></ul>"),
        ("styled", '<ul><li class="styled">&lt;a&gt;</li></ul>'),
        ("titled", '<p>Title</p><ul><li class="styled">&lt;a&gt;</li></ul>'),
    ],
)
def test_block_uses_overrides_of_child_templates(environment: Environment, name: str, html: str) -> None:
    assert render_block(environment, name, "rows", {"books": ["<a>"]}) == html


def test_parent_templates_receive_the_text_of_a_block_at_once(environment: Environment) -> None:
    template = environment.from_string('{% extends "base" %}{% block content %}{{ super() }}{{ rows }}.{% endblock %}')
    assert [*template.generate(rows=1)] == ["<html>", "1.", "</html>"]


def test_undefined_name_in_block_is_an_error(environment: Environment) -> None:
    with pytest.raises(UndefinedError, match="'books' is undefined"):
        render_block(environment, "styled", "rows", {})


def test_missing_block_is_an_error(environment: Environment) -> None:
    with pytest.raises(KeyError, match="nothing"):
        render_block(environment, "styled", "nothing", {})


def test_changed_template_is_reloaded() -> None:
    sources = dict(TEMPLATES)
    environment = Environment(loader=DictLoader(sources))  # noqa: S701 - no page is rendered
    render_block(environment, "styled", "rows", {"books": []})
    sources |= {"other": LIST.replace("<ul>", "<ol>"), "styled": STYLED.replace("list", "other")}
    assert "<ol>" in render_block(environment, "styled", "rows", {"books": []})
