"""Catalogues of translations: `locale/<language>/LC_MESSAGES/messages.po` of the project, features and framework."""

import logging
import shutil
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import cache, lru_cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from opportune.config.languages import PSEUDO_LANGUAGE, SOURCE_LANGUAGE
from opportune.errors import OperatorError
from opportune.i18n.catalogue_compiler import compile_catalogue
from opportune.i18n.pseudo_language import PseudoTranslations
from opportune.project.current import project_folder
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PACKAGE, PROJECT, replacements
from opportune.project.text_files import write_text

CATALOGUE = "LC_MESSAGES/messages"
"""Path of a catalogue below the folder of its language, without a suffix."""
PLURAL_SAMPLES = range(200)
"""Numbers with which the rule for plural forms is tried."""
SAMPLE_TEXT = "number"
UNREADABLE = (OSError, ValueError, LookupError, EOFError, ArithmeticError, struct.error)
"""Errors of a damaged catalogue."""
MAX_CACHED_TEXTS = 10_000
LABEL_CONTEXT = "label"
"""Context, in the catalogues of the framework, of labels that are made of names of its models, fields and choices."""

logger = logging.getLogger(__name__)


def locale_folders() -> list[Path]:
    """Return the folders of catalogues. A folder replaces translations of the folders after it."""
    features = sorted(Path(project_folder() or PROJECT / PACKAGE).glob("*/locale"))
    packages = [Path(folder) / "locale" for folder in feature_packages().values()]
    return [replacements("locale"), *features, *packages, FRAMEWORK / "locale"]


def catalogue_path(folder: Path, language: str) -> Path:
    """Return the path of a language's catalogue in a folder `locale`, with the suffix `.po`."""
    return folder / language.replace("-", "_") / f"{CATALOGUE}.po"


class NoTranslations(NullTranslations):
    """End of a chain of catalogues: returns an empty text instead of the English one."""

    def gettext(self, message: str) -> str:
        return ""


@cache
def catalogue_of(language: str) -> NullTranslations:
    """Return the translations into a language, which are read on first use."""
    return PseudoTranslations() if language == PSEUDO_LANGUAGE else _chain(language, locale_folders())


@cache
def project_catalogue_of(language: str) -> NullTranslations:
    """Return the translations of the project and its features, without those of the framework."""
    catalogue = _chain(language, locale_folders()[:-1])
    catalogue.add_fallback(NoTranslations())
    return catalogue


def _chain(language: str, folders: Sequence[Path]) -> NullTranslations:
    """Return the catalogues in these folders, each with the next one as its fallback."""
    codes = _related_codes(language)
    paths = [catalogue_path(folder, code) for folder in folders for code in codes]
    catalogues = [*filter(None, map(_read, paths))]
    first: NullTranslations = catalogues[0] if catalogues else NullTranslations()
    for catalogue in catalogues[1:]:
        first.add_fallback(catalogue)
    return first


def has_catalogue(language: str) -> bool:
    """Return whether there is a folder for catalogues of a language."""
    codes = _related_codes(language)
    return any(catalogue_path(folder, code).parent.is_dir() for folder in locale_folders() for code in codes)


def _related_codes(language: str) -> list[str]:
    """Return the codes of a language's catalogues: `de-AT` also uses those of `de`, and `zh` those of `zh_Hans`."""
    if language == SOURCE_LANGUAGE:
        return [language]
    from langcodes import Language

    try:
        tag = Language.get(language)
    except ValueError:
        return [language]
    base = Language.get(tag.language or "")
    script = tag.maximize().script
    codes = [language, f"{base}-{script}"]
    if script == base.maximize().script:
        codes.append(str(base))
    return [*dict.fromkeys(codes)]


@lru_cache(MAX_CACHED_TEXTS)
def find_translation(language: str, context: str, text: str) -> str:
    """Return the translation of a text without plural, or the text.

    Translations are cached, because the catalogues of the project, features and framework are searched in turn.
    """
    if not text:  # its translation would be the header of the catalogue
        return ""
    catalogue = catalogue_of(language)
    translation = catalogue.pgettext(context, text) if context else catalogue.gettext(text)
    return str.__str__(translation)  # without a translation, it may be a LazyText


@lru_cache(MAX_CACHED_TEXTS)
def find_label(language: str, text: str) -> str:
    """Return the translation of a label that is made of a name, or the text.

    The project may mean something else by a word than the framework, such as "Order". Of the framework, only labels
    that it makes of its own names apply, which have a context.
    """
    if not text:
        return ""
    if language == PSEUDO_LANGUAGE:
        return find_translation(language, "", text)
    return project_catalogue_of(language).gettext(text) or find_translation(language, LABEL_CONTEXT, text)


def clear_catalogues() -> None:
    """Forget the catalogues, so that changed ones are read."""
    for function in (catalogue_of, project_catalogue_of, find_translation, find_label):
        function.cache_clear()


def _read(path: Path) -> NullTranslations | None:
    """Read the compiled catalogue if it is intact and up to date, or else compile it."""
    problem = None
    for read in (_read_compiled, _compile):
        try:
            if translations := read(path):
                return translations
        except UNREADABLE as error:
            problem = error
    if problem:
        logger.error("The catalogue %s cannot be read (%s). Its texts are shown in English.", path, problem)
    return None


def _read_compiled(path: Path) -> NullTranslations | None:
    compiled = path.with_suffix(".mo")
    is_outdated = compiled.exists() and path.exists() and path.stat().st_mtime > compiled.stat().st_mtime
    return _load(compiled.read_bytes()) if compiled.exists() and not is_outdated else None


def _compile(path: Path) -> NullTranslations | None:
    """Compile a catalogue, and save the result for the next process if the folder is writable."""
    if not path.exists():
        return None
    content = compile_catalogue(path)
    translations = _load(content)
    compiled = path.with_suffix(".mo")
    with suppress(OSError, OperatorError):
        write_text(compiled, content)
        shutil.copystat(path, compiled)  # readable by the same users, and outdated as soon as the catalogue changes
    return translations


def _load(compiled: bytes) -> NullTranslations:
    """Read a compiled catalogue. Raises an error if its rule for plural forms fails for one of the usual numbers."""
    translations = GNUTranslations(BytesIO(compiled))
    for number in PLURAL_SAMPLES:
        translations.ngettext(SAMPLE_TEXT, SAMPLE_TEXT, number)
    return translations
