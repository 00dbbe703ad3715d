"""Checks of catalogues: unfinished translations, and texts that catalogues lack."""

from pathlib import Path

import pytest

from opportune.config.settings import Settings
from opportune.contrib.translations import checks, compilemessages
from opportune.contrib.translations.catalogue_state import examine_catalogue
from opportune.contrib.translations.extraction import Source
from opportune.i18n.catalogues import catalogue_path
from opportune.project.layout import FRAMEWORK

HEADER = r"""msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"

msgid "Books"
msgstr "Bücher"
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A feature with two texts."""
    folder = tmp_path / "app/books"
    folder.mkdir(parents=True)
    (folder / "pages.py").write_text('X = _("Books") + _("Authors")\n', encoding="utf-8")
    source = Source("books", folder / "locale", (folder,), tmp_path)
    monkeypatch.setattr(checks, "find_sources", lambda **_: [source])
    monkeypatch.setattr(compilemessages, "locale_folders", lambda: [source.locale])
    monkeypatch.setattr(compilemessages, "is_editable", lambda _folder: True)
    return source


def write(source: Source, text: str) -> None:
    path = catalogue_path(source.locale, "de")
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", ""),
        ('msgid "Authors"\nmsgstr ""\n', "1 missing"),
        ('#, fuzzy\nmsgid "Authors"\nmsgstr "Autor"\n', "1 fuzzy"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo %(nam)s"\n', "1 broken"),
        ('msgid "Hello %(name)s"\nmsgstr "Hallo %(name) "\n', "1 broken"),
        ('msgid "%(num)s row"\nmsgid_plural "%(num)s rows"\nmsgstr[0] "eine"\nmsgstr[1] "%(num)s"\n', ""),
        ('msgid "book"\nmsgid_plural "books"\nmsgstr[0] "Buch"\n', "1 broken"),
    ],
)
def test_unfinished_translations_are_counted(source: Source, settings: Settings, text: str, numbers: str) -> None:
    write(source, f"{HEADER}\n{text}")
    found = [*checks.check_catalogues(settings.model_copy(update={"languages": ["en", "de"]}))]
    assert [finding.text.split(": ")[1].split(". ")[0] for finding in found] == [numbers] * bool(numbers)
    assert not any(finding.is_error for finding in found)


def test_unoffered_languages_may_be_unfinished(source: Source, settings: Settings) -> None:
    write(source, f'{HEADER}\nmsgid "Authors"\nmsgstr ""\n')
    assert [*checks.check_catalogues(settings)] == []


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ('<a\n  href="/books/{{ book.id }}">', [(2, "/books/{{ book.id }}")]),
        ('<p data-url="/a" data-books-url="/b">', [(1, "/a"), (1, "/b")]),
        ('<a href="{{ url("/books") }}"><a href="/admin"><a href="#a"><a href="//example.com">', []),
        ('<a href="/books" hreflang="en"><a title="a > b" hreflang="{{ a > b }}"\nhref="/books">', []),
        ('<a href="/books" data-hreflang="en" title="hreflang">', [(1, "/books")]),
        ('{{ button("Books", href="/books") }}{# <a href="/books"> #}<input value="/books">', []),
    ],
)
def test_links_without_url_are_found(html: str, links: list[tuple[int, str]]) -> None:
    assert [*checks.links_without_language(html)] == links


def test_links_of_the_project_are_checked(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "replacements", lambda name: tmp_path / name)
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/list.html").write_text('<a href="/books">')
    changes = {"languages": ["en", "de"], "language_in_url": True}
    (finding,) = checks.check_links(settings.model_copy(update=changes))
    assert "templates/list.html:1: /books loses the language of the visitor. Put it into url()" in finding.text
    assert not [*checks.check_links(settings)]


@pytest.mark.parametrize(
    ("text", "reason"), [("nonsense", "line 1"), (HEADER.replace("utf-8", "klingon"), "unknown encoding: klingon")]
)
def test_unreadable_catalogue_is_an_error(source: Source, settings: Settings, text: str, reason: str) -> None:
    write(source, text)
    (finding,) = checks.check_catalogues(settings)
    assert finding.is_error
    assert f"is not a catalogue: {reason}" in finding.text


@pytest.mark.parametrize(("text", "message"), [(HEADER, "is out of date. Run"), ("nonsense", "is not a catalogue")])
def test_new_texts_are_reported(source: Source, settings: Settings, text: str, message: str) -> None:
    write(source, text)
    (finding,) = checks.check_new_texts(settings.model_copy(update={"languages": ["en", "de"]}))
    assert message in finding.text
    assert not finding.is_error


def test_framework_translations_are_not_broken() -> None:
    folder = FRAMEWORK / "locale"
    broken = {path: examine_catalogue(path.read_bytes()).broken for path in folder.glob("*/LC_MESSAGES/*.po")}
    assert len(broken) > 1
    assert {path: problems for path, problems in broken.items() if problems} == {}
