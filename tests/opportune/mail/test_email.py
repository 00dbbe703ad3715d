"""E-mails rendered from templates."""

import pytest
from jinja2 import TemplateNotFound

from opportune.mail import InvalidEmailError, render_email
from tests.opportune.mail.conftest import WriteTemplate, settings_with

TO = "ada@example.com"


def test_email_has_text_and_html_from_templates(write_template: WriteTemplate) -> None:
    write_template("hello.txt", "Subject: Hello {{ name }}\n\nDear {{ name }}.\n\nBye.\n")
    block = "{% block content %}<p>Dear {{ name }}</p>{% endblock %}"
    write_template("hello.html", '{% extends "mail/base.html" %}' + block)
    email = render_email(settings_with(), TO, "hello", {"name": "Zoë & Jürgen"})
    assert (email.to, email.subject) == (TO, "Hello Zoë & Jürgen")
    assert email.text == "Dear Zoë & Jürgen.\n\nBye.\n"
    assert "<p>Dear Zoë &amp; Jürgen</p>" in email.html
    assert "<title>Hello Zoë &amp; Jürgen</title>" in email.html


def test_text_template_with_a_subject_is_required(write_template: WriteTemplate) -> None:
    write_template("plain.txt", "Subject: Hello\nText.")
    write_template("html_only.html", "<p>Hello</p>")
    assert render_email(settings_with(), TO, "plain", {}).html == ""
    with pytest.raises(TemplateNotFound, match=r"html_only\.txt"):
        render_email(settings_with(), TO, "html_only", {})
    write_template("bare.txt", "Hello\n")
    with pytest.raises(InvalidEmailError, match=r"templates/bare\.txt must begin with a line `Subject: "):
        render_email(settings_with(), TO, "bare", {})


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_line_breaks_in_headers_are_refused(write_template: WriteTemplate, line_break: str) -> None:
    write_template("hello.txt", "Subject: Hello {{ name }}\n\nText.")
    with pytest.raises(InvalidEmailError, match=r"^The subject of an e-mail must be one line\.$"):
        render_email(settings_with(), TO, "hello", {"name": f"Ada{line_break}Bcc: all@example.com"})
    with pytest.raises(InvalidEmailError, match=r"^The address of an e-mail must be one line\.$"):
        render_email(settings_with(), f"{TO}{line_break}Bcc: all@example.com", "hello", {"name": "Ada"})


def test_unusual_line_breaks_in_a_subject_become_spaces(write_template: WriteTemplate) -> None:
    write_template("hello.txt", "Subject: Hello {{ name }}\n\nText.")
    email = render_email(settings_with(), TO, "hello", {"name": "A\u2028d\x85a\x0b\U0001f469\u200d\U0001f52c"})
    assert email.subject == "Hello A d a \U0001f469\u200d\U0001f52c"


@pytest.mark.parametrize("address", ["", "ada@", "ada@example", "Ada <>"])
def test_invalid_address_is_refused(write_template: WriteTemplate, address: str) -> None:
    write_template("hello.txt", "Subject: Hello\n")
    with pytest.raises(InvalidEmailError, match=r"^.+ is not a valid e-mail address\. .+$"):
        render_email(settings_with(), address, "hello", {})


def test_email_is_in_language_of_recipient(write_template: WriteTemplate) -> None:
    write_template("hello.txt", 'Subject: {{ _("Search") }}\n\n{{ _("Title") }}')
    email = render_email(settings_with(), TO, "hello", {}, language="de")
    assert (email.subject, email.text) == ("Suchen", "Titel")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ('Text.\n{% include "footer.txt" %}', "Text.\nThe people of Bookshelf"),
        ("{% trans %}Dear,{% endtrans %}\n\n{% trans %}Bye{% endtrans %}\n", "Dear,\n\nBye\n"),
        ("{{ absolute_url('/events/1?a=b') }}", "https://example.org/events/1?a=b"),
        ("{{ name }}", "<script>&"),
    ],
    ids=["included text", "line break after a translation", "link", "value"],
)
def test_text_of_an_email(write_template: WriteTemplate, template: str, text: str) -> None:
    write_template("footer.txt", "The people of {{ site }}")
    write_template("hello.txt", f"Subject: Hello\n\n{template}")
    assert render_email(settings_with(), TO, "hello", {"site": "Bookshelf", "name": "<script>&"}).text == text
