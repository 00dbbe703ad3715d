"""Commands for catalogues: texts are collected, merged with translations, checked and compiled."""

from gettext import GNUTranslations
from pathlib import Path

import pytest

from opportune.contrib.translations import compilemessages, extraction, makemessages
from opportune.i18n import catalogues
from opportune.testing.commands import Oppman, oppman

__all__ = ["oppman"]

MODULE = Path(__file__).with_name("books_module.txt").read_text(encoding="utf-8")
TEMPLATE = """{{ _("Your books") }}
{% trans name=user %}
  Dear <b>{{ name }}</b>
{% endtrans %}
"""
SCRIPT = 'alert(gettext("Really?"));'


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> extraction.Source:
    """A project with a feature "books"."""
    files = {"app/books/models.py": MODULE, "templates/books/list.html": TEMPLATE, "static/books/books.js": SCRIPT}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    folders = tuple((tmp_path / name).parent for name in files)
    source = extraction.Source("books", folders[0] / "locale", folders, tmp_path)
    monkeypatch.setattr(makemessages, "find_sources", lambda **_: [source])
    monkeypatch.setattr(compilemessages, "is_editable", lambda _folder: True)
    monkeypatch.setattr(compilemessages, "locale_folders", lambda: [source.locale])
    return source


def catalogue_text(source: extraction.Source, language: str = "de") -> str:
    return catalogues.catalogue_path(source.locale, language).read_text(encoding="utf-8")


def translate(source: extraction.Source, text: str, translation: str) -> None:
    path = catalogues.catalogue_path(source.locale, "de")
    old = f'msgid "{text}"\nmsgstr ""'
    content = catalogue_text(source)
    assert old in content
    path.write_text(content.replace(old, f'msgid "{text}"\nmsgstr "{translation}"'), encoding="utf-8")


def test_texts_are_collected(source: extraction.Source, oppman: Oppman) -> None:
    outcome = oppman("makemessages", "de")
    assert (outcome.code, outcome.err) == (0, "")
    assert "7 texts, 7 missing, 0 fuzzy" in outcome.out
    text = catalogue_text(source)
    for line in (
        'msgid "Books"',
        'msgid "Welcome to %(name)s"',
        "#. Translators: a greeting",
        'msgctxt "month"\nmsgid "May"',
        'msgid_plural "%(num)s books"',
        'msgid "Your books"',
        'msgid "Dear <b>%(name)s</b>"',
        'msgid "Really?"',
        "#: app/books/models.py",
    ):
        assert line in text, line


def test_texts_of_an_example_are_translated_as_in_the_starter(
    source: extraction.Source, oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(makemessages, "STARTER_ROOT", tmp_path / "starter")
    path = catalogues.catalogue_path(tmp_path / "starter/app/books/locale", "de")
    path.parent.mkdir(parents=True)
    plural = 'msgid "%(num)s book"\nmsgid_plural "%(num)s books"\nmsgstr[0] "%(num)s Buch"\nmsgstr[1] "%(num)s Bücher"'
    path.write_text(f'msgid ""\nmsgstr ""\n\nmsgid "Gone"\nmsgstr "Fort"\n\n{plural}\n', encoding="utf-8")
    assert "7 texts, 6 missing, 0 fuzzy" in oppman("makemessages", "de").out
    assert "%(num)s Bücher" in catalogue_text(source)
    assert "Gone" not in catalogue_text(source)


def test_nothing_changes_without_new_texts(source: extraction.Source, oppman: Oppman) -> None:
    oppman("makemessages", "de")
    before = catalogue_text(source)
    assert oppman("makemessages").out == "All catalogues are up to date.\n"
    assert catalogue_text(source) == before


def test_translations_are_kept(source: extraction.Source, oppman: Oppman) -> None:
    oppman("makemessages", "de")
    translate(source, "Books", "Bücher")
    assert oppman("makemessages", "--check").code == 0
    (source.folders[0] / "pages.py").write_text('from opportune.i18n import gettext as _\n\nX = _("New")\n')
    assert "is out of date. Update it: python3 oppman.py makemessages" in oppman("makemessages", "--check").line()
    assert "New" not in catalogue_text(source)
    assert "8 texts, 7 missing" in oppman("makemessages").out
    assert 'msgid "Books"\nmsgstr "Bücher"' in catalogue_text(source)


@pytest.mark.usefixtures("source")
def test_refusals(oppman: Oppman) -> None:
    assert oppman("makemessages").out == "There are no catalogues. Add one: makemessages de\n"
    for code in ("xq", "../de", "en", "xx"):
        assert "is not the code of a language to translate into, such as de" in oppman("makemessages", code).line()


def test_new_texts_are_translated_like_the_framework(source: extraction.Source, oppman: Oppman) -> None:
    (source.folders[0] / "pages.py").write_text('X = _("Save")', encoding="utf-8")
    oppman("makemessages", "de", "fr")
    assert 'msgid "Save"\nmsgstr "Speichern"' in catalogue_text(source)
    assert 'msgid "Save"\nmsgstr "Enregistrer"' in catalogue_text(source, "fr")


def test_texts_in_formatted_strings_are_collected(source: extraction.Source, oppman: Oppman) -> None:
    code = """A = f"{_('Shelf')}: {npgettext('books', '%(num)s row', '%(num)s rows', number)} {_(name)} {_(1)}\""""
    (source.folders[0] / "pages.py").write_text(code, encoding="utf-8")
    assert oppman("makemessages", "de").err == ""
    text = catalogue_text(source)
    assert 'msgid "Shelf"' in text
    assert 'msgctxt "books"\nmsgid "%(num)s row"\nmsgid_plural "%(num)s rows"' in text


def test_catalogues_are_compiled(source: extraction.Source, oppman: Oppman) -> None:
    oppman("makemessages", "de")
    translate(source, "Books", "Bücher")
    translate(source, "Welcome to %(name)s", "Hallo %(nam)s")
    outcome = oppman("compilemessages")
    assert (outcome.code, outcome.out) == (0, "Compiled 1 catalogue.\n")
    assert "unknown named placeholder 'nam'" in outcome.err
    with catalogues.catalogue_path(source.locale, "de").with_suffix(".mo").open("rb") as file:
        translations = GNUTranslations(file)
    assert translations.gettext("Books") == "Bücher"
    assert translations.gettext("Welcome to %(name)s") == "Welcome to %(name)s"
