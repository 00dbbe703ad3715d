"""Filters of page and mail templates."""

from datetime import UTC, date, datetime

import pytest
from fastapi import Request

from opportune.i18n import use_language
from opportune.mail.email import environment
from opportune.web import templates
from opportune.web.rendering.environment import TemplateEnvironment
from opportune.web.time_zone import format_datetime


def test_time_format() -> None:
    assert format_datetime(datetime(2026, 11, 3, 9, 5, tzinfo=UTC)) == "3 Nov 2026, 09:05 UTC"
    assert format_datetime(None) == ""


def test_pages_and_mails_share_formats() -> None:
    source = '{{ day | date }} {{ moment | date }} {{ none | date }}{{ 1234.5 | money("EUR") }}'
    context = {"day": date(2026, 11, 3), "moment": datetime(2026, 11, 3, 9, 5, tzinfo=UTC), "none": None}
    for environment_ in (templates.environment, environment):
        assert environment_.from_string(source).render(context) == "3 Nov 2026 3 Nov 2026 EUR 1,234.50"


def test_template_sees_later_globals() -> None:
    template = (environment_ := TemplateEnvironment()).from_string("{{ name }}")
    environment_.globals["name"] = "Ada"
    assert template.render() == "Ada"


def test_texts_are_not_constant() -> None:
    source = "{{ _('b') }} {{ gettext('c') }} {{ pgettext('d', 'e') }} {{ ngettext('f', 'g', 2) }}"
    template = templates.environment.from_string(source)
    with use_language("xx"):
        assert template.render() == "[b~] [ç~] [é~] [g~]"


def test_variable_that_hides_url_is_refused() -> None:
    with pytest.raises(ValueError, match="`url` hides the function"):
        templates.render(Request({"type": "http"}), "base.html", {"url": "/books"})
