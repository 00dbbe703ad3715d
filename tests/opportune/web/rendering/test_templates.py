"""Filters of page and mail templates."""

from datetime import UTC, date, datetime

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from opportune.errors import OperatorError
from opportune.i18n import use_language
from opportune.mail.email import environment
from opportune.web import templates
from opportune.web.language import current_prefixes
from opportune.web.rendering.environment import TemplateEnvironment


def test_pages_and_mails_share_formats() -> None:
    source = '{{ day | date }} {{ moment | date }} {{ none | date }}{{ 1234.5 | money("EUR") }}'
    context = {"day": date(2026, 11, 3), "moment": datetime(2026, 11, 3, 9, 5, tzinfo=UTC), "none": None}
    for environment_ in (templates.environment, environment):
        assert environment_.from_string(source).render(context) == "3 Nov 2026 3 Nov 2026 EUR\N{NO-BREAK SPACE}1,234.50"


def test_template_sees_later_globals() -> None:
    template = (environment_ := TemplateEnvironment()).from_string("{{ name }}")
    environment_.globals["name"] = "Ada"
    assert template.render() == "Ada"


def test_texts_are_not_constant() -> None:
    source = "{{ _('b') }} {{ gettext('c') }} {{ pgettext('d', 'e') }} {{ ngettext('f', 'g', 2) }}"
    template = templates.environment.from_string(source)
    with use_language("xx"):
        assert template.render() == "[b~] [ç~] [é~] [g~]"


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ('{{ url("/books") }}', "/de/books"),
        ('{{ url("/books/" ~ (1 + 1) ~ "?a=" ~ "b c" | urlencode) }}', "/de/books/2?a=b%20c"),
        ("{{ url(path) or none }} {{ url(url(path)) }} {{ page.url }}", "/de/a /de/a /b"),
        ('{% trans url=url("/a") %}<a href="{{ url }}">{% endtrans %}', '<a href="/de/a">'),
        ("{% macro link(path) %}{{ url(path) }}{% endmacro %}{{ link('/a') }}", "/de/a"),
        ('{{ url("/a?b=1&c=" ~ quote) }}', "/de/a?b=1&amp;c=&#34;"),
        ("url(path) {{ 'url(path)' }}", "url(path) url(path)"),
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
