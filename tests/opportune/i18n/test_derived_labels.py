"""Labels made of names of the project, which may mean something else than the same words of the framework."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opportune.db.models.choices import choice_label
from opportune.db.models.labels import label_of
from opportune.i18n import catalogues, gettext, use_language
from opportune.project.layout import FRAMEWORK


@pytest.fixture(autouse=True)
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = catalogues.catalogue_path(tmp_path, "de")
    path.parent.mkdir(parents=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
    path.write_text(f'{header}msgid "Topic"\nmsgstr "Fachgebiet"\n')
    monkeypatch.setattr(catalogues, "locale_folders", lambda: [tmp_path, FRAMEWORK / "locale"])
    catalogues.clear_catalogues()
    with use_language("de"):
        yield
    catalogues.clear_catalogues()


@pytest.mark.parametrize("word", ["Tag", "Order", "Copy"])
def test_word_of_the_framework_is_no_label(word: str) -> None:
    assert str(label_of(word.lower())) == str(choice_label(word.lower())) == word


@pytest.mark.parametrize(("name", "label"), [("name", "Name"), ("created_at", "Erstellt am"), ("topic", "Fachgebiet")])
def test_labels_of_framework_and_project_are_translated(name: str, label: str) -> None:
    assert str(label_of(name)) == gettext(label_of(name)) == label


@pytest.mark.parametrize("word", ["Tag", "Order", "Main"])
def test_ambiguous_words_of_the_framework_have_a_context(word: str) -> None:
    assert gettext(word) == word
