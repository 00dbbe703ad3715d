"""Translation of texts, with plural forms, contexts and broken placeholders."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from jinja2 import Environment
from markupsafe import Markup

from opportune.config.languages import find_language
from opportune.i18n import catalogues, format_lazy, gettext, gettext_lazy, ngettext, pgettext, use_language
from opportune.i18n.formats import format_list
from opportune.i18n.languages import best_language
from opportune.i18n.translation import pgettext_lazy
from opportune.web.rendering.environment import TemplateEnvironment

GERMAN = Path(__file__).with_name("german.po").read_text(encoding="utf-8")


def write_catalogue(folder: Path, text: str, language: str = "de") -> Path:
    path = catalogues.catalogue_path(folder, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """Folders of a project and of the framework, which has German texts."""
    folders = [tmp_path / "project", tmp_path / "framework"]
    write_catalogue(folders[1], GERMAN)
    monkeypatch.setattr(catalogues, "locale_folders", lambda: folders)
    catalogues.clear_catalogues()
    yield folders
    catalogues.clear_catalogues()


@pytest.fixture
def german(folders: list[Path]) -> Iterator[None]:
    with use_language("de"):
        yield


@pytest.mark.usefixtures("german")
def test_text_is_translated() -> None:
    assert gettext("Books") == "Bücher"
    assert gettext("Hello %(name)s", name="Ada") == "Hallo Ada"


@pytest.mark.usefixtures("german")
def test_plural_form_depends_on_number() -> None:
    texts = [ngettext("%(num)s book", "%(num)s books", number) for number in (0, 1, 2)]
    assert texts == ["0 Bücher", "Ein Buch", "2 Bücher"]


@pytest.mark.usefixtures("german")
def test_context_selects_a_meaning() -> None:
    assert (pgettext("month", "May"), pgettext("verb", "May"), gettext("May")) == ("Mai", "May", "May")


@pytest.mark.usefixtures("german")
def test_unfinished_translations_are_english() -> None:
    assert [gettext(text) for text in ("Old", "Missing", "Unknown", "")] == ["Old", "Missing", "Unknown", ""]


@pytest.mark.usefixtures("german")
def test_translation_with_wrong_placeholder_is_english() -> None:
    assert gettext("From %(start)s", start="Monday") == "From Monday"


def test_broken_compiled_translation_is_logged_once(folders: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("Hello %(name)s", "Hallo %(nam)s")
    path = write_catalogue(folders[0], "").with_suffix(".mo")
    with path.open("wb") as file:
        write_mo(file, catalogue)
    with use_language("de"):
        assert [gettext("Hello %(name)s", name="Ada") for _ in range(2)] == ["Hello Ada"] * 2
    assert caplog.text.count("broken placeholder") == 1


@pytest.mark.parametrize("text", ["this is no catalogue", GERMAN.replace("n != 1", "n % 0"), "\x00"])
def test_broken_catalogue_is_left_out(folders: list[Path], caplog: pytest.LogCaptureFixture, text: str) -> None:
    write_catalogue(folders[0], text)
    with use_language("de"):
        assert [gettext("Books") for _ in range(2)] == ["Bücher"] * 2
        assert ngettext("%(num)s book", "%(num)s books", 2) == "2 Bücher"
    assert caplog.text.count("Its texts are shown in English") == 1


@pytest.mark.parametrize("content", [b"", b"\xde\x12\x04\x95" + b"\xff" * 40])
def test_broken_compiled_catalogue_is_compiled_again(folders: list[Path], content: bytes) -> None:
    path = write_catalogue(folders[0], GERMAN.replace("Bücher", "Romane")).with_suffix(".mo")
    path.write_bytes(content)
    with use_language("de"):
        assert gettext("Books") == "Romane"


def test_project_replaces_single_translations(folders: list[Path]) -> None:
    write_catalogue(folders[0], GERMAN.replace("Bücher", "Romane"))
    with use_language("de"):
        assert (gettext("Books"), gettext("100% sure")) == ("Romane", "100% sicher")


def test_compiled_catalogue_is_saved_until_the_source_changes(folders: list[Path]) -> None:
    path = write_catalogue(folders[0], GERMAN)
    for name in ("Bücher", "Romane"):
        path.write_text(path.read_text(encoding="utf-8").replace("Bücher", name), encoding="utf-8")
        catalogues.clear_catalogues()
        with use_language("de"):
            assert gettext("Books") == name
        assert name.encode() in path.with_suffix(".mo").read_bytes()
        os.utime(path, (path.stat().st_mtime + 1,) * 2)


@pytest.mark.usefixtures("folders")
def test_lazy_text_is_translated_and_keeps_its_meaning() -> None:
    title, month = gettext_lazy("Books"), pgettext_lazy("month", "May")
    with use_language("de"):
        assert (str(title), f"{title}!", str(month)) == ("Bücher", "Bücher!", "Mai")
        assert Environment(autoescape=True).from_string("{{ title }}").render(title=title) == "Bücher"
    assert (str(title), title) == ("Books", "Books")
    month = gettext_lazy(pgettext_lazy("month", "May"))
    greeting = format_lazy("Hello %(name)s", name=gettext_lazy("Books"))
    assert greeting == "Hello Books"
    with use_language("de"):
        assert (gettext(month), str(greeting), gettext(greeting)) == ("Mai", "Hallo Bücher", "Hallo Bücher")


@pytest.mark.usefixtures("german")
def test_templates_escape_values_but_not_texts() -> None:
    environment = TemplateEnvironment(autoescape=True)
    name = "<i>"
    for source, expected in (
        ('{{ _("Hello %(name)s", name=name) }}', "Hallo &lt;i&gt;"),
        ("{% trans name=name %}Dear <b>{{ name }}</b>{% endtrans %}", "Hallo <b>&lt;i&gt;</b>"),
        ('{{ ngettext("%(num)s book", "%(num)s books", 2) }}', "2 Bücher"),
        ('{{ _("A & B") }}', "A &amp; B"),
        ('{{ pgettext("month", "May") }}', "Mai"),
    ):
        assert environment.from_string(source).render(name=name) == expected, source


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ada@example.com", "\u2068ada@example.com\u2069"),
        ("Ada & Co", "\u2068Ada &amp; Co\u2069"),
        (Markup("<b>Ada</b>"), "\u2068<b>Ada</b>\u2069"),
        ("\u2068Ada\u2069", "\u2068Ada\u2069"),
        (Markup("<b>محمد</b>"), "<b>محمد</b>"),
        ("1,234.5", "1,234.5"),
    ],
)
def test_names_of_other_direction_are_isolated(value: Any, expected: str) -> None:
    source = '{% trans value=value, title="Ada" %}<i title="{{ title }}">{{ value }}</i>{% endtrans %}'
    template = TemplateEnvironment(autoescape=True).from_string(source)
    with use_language("ar"):
        assert template.render(value=value) == f'<i title="Ada">{expected}</i>'
    with use_language("en"):
        assert "\u2068Ada &" not in template.render(value=value)


def test_names_in_arabic_list_are_isolated() -> None:
    with use_language("ar"):
        assert gettext("By %(names)s", names=format_list(["Ada", "محمد"])) == "By \u2068Ada\u2069 ومحمد"


def test_languages_have_tag_and_direction() -> None:
    found = [find_language(code) for code in ("de", "ar", "zh_Hans", "pt-BR", "xx")]
    directions = {"de": "ltr", "ar": "rtl", "zh-Hans": "ltr", "pt-BR": "ltr", "en-XA": "ltr"}
    assert {language.tag: language.direction for language in found if language} == directions
    assert [find_language(code) for code in ("", "qq", "..", "de/../..", "x" * 1000)] == [None] * 5


def test_best_language_of_header() -> None:
    languages = ("en", "de", "zh-Hans", "zh-Hant", "he")
    codes = {"de-AT,de;q=0.9,en;q=0.8": "de", "fr;q=0.5, en;q=0.9": "en", "zh-TW,zh;q=0.9": "zh-Hant"}
    for header, code in codes.items():
        assert best_language(header, languages) == code, header
    for header in ("fr", ";;q=,", "de;q=0"):
        assert best_language(header, languages) == "", header


@pytest.mark.parametrize(("language", "text"), [("de-AT", "Schließen"), ("zh_CN", "关闭"), ("zh-TW", "Close")])
def test_language_uses_the_catalogue_of_its_script(language: str, text: str) -> None:
    with use_language(language):
        assert gettext("Close") == text
