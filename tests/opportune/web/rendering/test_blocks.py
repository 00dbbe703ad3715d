"""Rendering of single blocks."""

import pytest
from jinja2 import DictLoader, Environment, StrictUndefined, UndefinedError

from opportune.web.rendering.blocks import render_block

BASE = "<html>{% block content %}{% endblock %}</html>"
LIST = (
    '{% extends "base" %}{% set unseen = missing.text %}{% block content %}<h1>A list</h1>{% block found %}<ul>'
    "{% for row in rows %}{% block row scoped %}<li>{{ row }}</li>{% endblock %}{% endfor %}"
    "</ul>{% endblock %}{% endblock %}"
)
OWN = '{% extends "list" %}{% block row %}<li class="own">{{ row }}</li>{% endblock %}'
MORE = '{% extends "own" %}{% block found %}<p>More</p>{{ super() }}{% endblock %}'


TEXTS = {"base": BASE, "list": LIST, "own": OWN, "more": MORE}


@pytest.fixture
def environment() -> Environment:
    return Environment(loader=DictLoader(TEXTS), autoescape=True, undefined=StrictUndefined)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("list", "<ul><li>&lt;a&gt;</li></ul>"),
        ("own", '<ul><li class="own">&lt;a&gt;</li></ul>'),
        ("more", '<p>More</p><ul><li class="own">&lt;a&gt;</li></ul>'),
    ],
)
def test_block_renders_overrides_only(environment: Environment, name: str, found: str) -> None:
    assert render_block(environment, name, "found", {"rows": ["<a>"]}) == found


def test_error_in_block_names_the_cause(environment: Environment) -> None:
    with pytest.raises(UndefinedError, match="'rows' is undefined"):
        render_block(environment, "own", "found", {})
    with pytest.raises(KeyError, match="nothing"):
        render_block(environment, "own", "nothing", {})


def test_changed_template_is_reloaded() -> None:
    texts = dict(TEXTS)
    environment = Environment(loader=DictLoader(texts))  # noqa: S701 - nothing is shown
    render_block(environment, "own", "found", {"rows": []})
    texts |= {"other": LIST.replace("<ul>", "<ol>"), "own": OWN.replace("list", "other")}
    assert "<ol>" in render_block(environment, "own", "found", {"rows": []})
