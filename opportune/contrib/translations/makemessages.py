"""Collect the texts of the site in catalogues, for translators.

Without arguments, the catalogues of all LANGUAGES and existing catalogues are updated. Texts are taken from `_("…")`,
`ngettext(…)` and `pgettext(…)` in Python, templates and scripts, and from `{% trans %}` in templates.
"""

from collections.abc import Collection, Sequence
from copy import deepcopy
from itertools import chain
from typing import Annotated

import typer
from babel.messages.catalog import Catalog

from opportune.cli.output import say
from opportune.cli.project.shared_files import STARTER_ROOT
from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE, find_language
from opportune.config.settings import get_settings
from opportune.contrib.translations.catalogue_files import as_bytes, read_catalogue
from opportune.contrib.translations.catalogue_state import examine_catalogue
from opportune.contrib.translations.extraction import Source, find_sources
from opportune.contrib.translations.unmarked import find_unmarked
from opportune.errors import OperatorError
from opportune.i18n import gettext, pgettext, use_language
from opportune.i18n.catalogues import catalogue_path
from opportune.i18n.languages import content_languages
from opportune.i18n.translation import DerivedLabel
from opportune.plurals import pluralize
from opportune.project.current import OPPMAN
from opportune.project.layout import PACKAGE, display_path
from opportune.project.text_files import write_text


def command(
    languages: Annotated[
        list[str] | None, typer.Argument(help="Codes of languages, such as de or pt-BR.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 if a catalogue is out of date.")
    ] = False,
    unmarked: Annotated[
        bool, typer.Option("--unmarked", help="List texts that are not marked; exit with 1 if there are any.")
    ] = False,
) -> None:
    if unmarked:
        list_unmarked()
        return
    codes = [*map(_parse_language, languages)] if languages else content_languages(get_settings())
    has_catalogues = bool(check or languages)
    changed: list[str] = []
    for source in find_sources():
        targets = codes if languages else [*codes, *existing_languages(source)]
        has_catalogues |= bool(translated_languages(targets))
        changed += update_catalogues(source, targets, check=check)
    if check and changed:
        raise OperatorError(f"{changed[0]} is out of date. Update it: {OPPMAN} makemessages")
    if not changed:
        say("All catalogues are up to date." if has_catalogues else "There are no catalogues. Add one: makemessages de")


def list_unmarked() -> None:
    """Print texts that a user can read, and that are not marked for translation."""
    texts = [*chain.from_iterable(map(find_unmarked, find_sources()))]
    for text in texts:
        say(text)
    if texts:
        raise OperatorError(f"{pluralize(len(texts), 'text')} not marked. See oppman.py docs translations.")
    say("All texts are marked.")


def _parse_language(code: str) -> str:
    language = find_language(code)
    if language is None or not translated_languages([language.code]):
        raise OperatorError(f"{code!r} is not the code of a language to translate into, such as de or pt-BR.")
    return language.code


def existing_languages(source: Source) -> list[str]:
    return sorted(path.parents[1].name.replace("_", "-") for path in source.locale.glob("*/LC_MESSAGES/messages.po"))


def translated_languages(codes: Sequence[str]) -> list[str]:
    """Return the languages that need a catalogue."""
    return [code for code in dict.fromkeys(codes) if code not in (SOURCE_LANGUAGE, PSEUDO_LANGUAGE)]


def update_catalogues(source: Source, codes: Sequence[str], *, check: bool = False) -> list[str]:
    """Update the catalogues of a source, and return the paths of those that change."""
    changed: list[str] = []
    targets = translated_languages(codes)
    texts = source.extract() if targets else Catalog()
    for code in targets:
        path = catalogue_path(source.locale, code)
        if not (texts or path.exists()):
            continue
        catalogue = updated_catalogue(source, texts, code)
        content = as_bytes(catalogue)
        if path.exists() and content == path.read_bytes():
            continue
        changed.append(display_path(path))
        if not check:
            write_text(path, content)
            state = examine_catalogue(content)
            number = pluralize(len(catalogue), "text")
            say(f"{display_path(path)}: {number}, {state.missing} missing, {state.fuzzy} fuzzy")
    return changed


def updated_catalogue(source: Source, texts: Catalog, code: str) -> Catalog:
    """Return the catalogue of a language with the texts of the source, translated as far as they are known."""
    catalogue = read_catalogue(catalogue_path(source.locale, code), code)
    # Babel puts the messages themselves into the catalogue, so each language needs its own.
    catalogue.update(deepcopy(texts), update_creation_date=False)
    example = catalogue_path(STARTER_ROOT / PACKAGE / source.name / "locale", code)  # of the starter; may not exist
    copy_translations(catalogue, read_catalogue(example, code))
    fill_in(catalogue, code, {str.__str__(text) for _, text in source.labels() if isinstance(text, DerivedLabel)})
    return catalogue


def copy_translations(catalogue: Catalog, other: Catalog) -> None:
    """Translate new texts as another catalogue does."""
    for message in catalogue:
        if message.id and not any(message.string or ()) and (translated := other.get(message.id, message.context)):
            message.string = translated.string


def fill_in(catalogue: Catalog, language: str, derived_labels: Collection[str] = ()) -> None:
    """Translate new texts as the framework and other features do, such as "Name" and "Price"."""
    with use_language(language):
        for message in catalogue:
            if isinstance(message.id, str) and message.id and not message.string:
                label = DerivedLabel(message.id) if message.id in derived_labels else message.id
                text = pgettext(message.context, message.id) if message.context else gettext(label)
                message.string = "" if text == message.id else text
