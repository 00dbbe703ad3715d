"""The tag `{% shared %}`, and escaping of values in templates."""

from types import SimpleNamespace

import pytest
from jinja2 import Template
from markupsafe import Markup

from opportune.i18n import use_language
from opportune.web import templates
from opportune.web.rendering import shared_parts
from opportune.web.rendering.environment import TemplateEnvironment

PRODUCTION, DEVELOPMENT = SimpleNamespace(is_production=True), SimpleNamespace(is_production=False)
Named = type("Named", (str,), {})
"""Texts whose class is not `str`."""


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Template:
    monkeypatch.setattr(shared_parts, "SHARED_SECONDS", 600)
    source = "{% shared a, b %}{{ text }}{{ a }}{% endshared %}{% shared a, b %}!{% endshared %}"
    return TemplateEnvironment(autoescape=True).from_string(source)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({}, "old &lt;a&gt;", id="same key"),
        ({"a": "c"}, "new c"),
        ({"b": 2}, "new &lt;a&gt;"),
        pytest.param({"settings": SimpleNamespace(is_production=True)}, "new &lt;a&gt;", id="other site"),
        pytest.param({"settings": DEVELOPMENT}, "new &lt;a&gt;", id="development"),
    ],
)
def test_shared_part_is_rendered_once_for_its_key(part: Template, changes: dict[str, object], text: str) -> None:
    context = {"settings": PRODUCTION, "a": "<a>", "b": 1}
    part.render(context, text="old ")
    assert part.render(context | changes, text="new ") == f"{text}!"


def test_shared_part_depends_on_the_language(part: Template) -> None:
    part.render(settings=PRODUCTION, a="a", b=1, text="old ")
    with use_language("de"):
        assert part.render(settings=PRODUCTION, a="a", b=1, text="new ") == "new a!"


@pytest.mark.parametrize(
    ("value", "html"),
    [
        ("plain", "plain"),
        ("""<a href='"'>&""", "&lt;a href=&#39;&#34;&#39;&gt;&amp;"),
        (Markup("<b>"), "<b>"),
        (Named("<b>"), "&lt;b&gt;"),
        (SimpleNamespace(a="<"), "namespace(a=&#39;&lt;&#39;)"),
    ],
)
def test_output_is_escaped(value: object, html: str) -> None:
    source = "{{ value }}{% macro m() %}{{ value }}{% endmacro %}{{ m() }}{% set s %}{{ value }}{% endset %}{{ s }}"
    assert templates.environment.from_string(source).render(value=value) == html * 3
