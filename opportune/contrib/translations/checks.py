"""Checks of catalogues, for `oppman.py check`."""

import re
from collections.abc import Iterator

from opportune.checks import Finding
from opportune.config.settings import Settings
from opportune.contrib.translations.catalogue_files import not_a_catalogue
from opportune.contrib.translations.catalogue_state import examine_catalogue
from opportune.contrib.translations.compilemessages import project_catalogues
from opportune.contrib.translations.extraction import find_sources
from opportune.contrib.translations.makemessages import existing_languages, update_catalogues
from opportune.errors import OperatorError
from opportune.i18n.languages import content_languages
from opportune.project.current import OPPMAN
from opportune.project.layout import FRAMEWORK, display_path, replacements
from opportune.web.language import has_language, language_prefixes

LINK = re.compile(r"""\s(?:href|(?:form)?action|hx-(?:get|post|put|patch|delete)|data-[\w-]*url)=["'](/(?!/)[^"']*)""")
"""Attribute of HTML with the path of a page."""
TEMPLATE_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
LINK_WITH_LANGUAGE = re.compile(r"""<\w(?:[^"'>]|"[^"]*"|'[^']*')*?\shreflang=(?:[^"'>]|"[^"]*"|'[^']*')*>""")


def check_catalogues(settings: Settings) -> Iterator[Finding]:
    """Report broken translations, and missing or fuzzy ones in languages of the site. The source is not read.

    Tests of the framework check its own catalogues.
    """
    offered = content_languages(settings)
    for path in project_catalogues():
        if path.is_relative_to(FRAMEWORK):
            continue
        try:
            state = examine_catalogue(path.read_bytes(), path.parents[1].name)
        except (OSError, ValueError) as error:
            yield Finding(str(not_a_catalogue(path, error)))
            continue
        counts = {"missing": state.missing, "fuzzy": state.fuzzy, "broken": len(state.broken)}
        if path.parents[1].name.replace("_", "-") not in offered:
            counts = {"broken": len(state.broken)}
        if numbers := ", ".join(f"{count} {name}" for name, count in counts.items() if count):
            hint = f" List the broken ones: {OPPMAN} compilemessages" if state.broken else ""
            yield Finding.warning(f"{display_path(path)}: {numbers}. English is shown instead. Edit the file.{hint}")


def check_links(settings: Settings) -> Iterator[Finding]:
    """Report links of the project's templates that lose the language of the visitor."""
    if not language_prefixes(settings):
        return
    for file in sorted(replacements("templates").rglob("*.html")):
        for number, link in links_without_language(file.read_text(encoding="utf-8", errors="replace")):
            place = f"{display_path(file)}:{number}"
            advice = 'Put it into url(), such as {{ url("/books/" ~ book.id) }}.'
            yield Finding.warning(f"{place}: {link} loses the language of the visitor. {advice}")


def links_without_language(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and path of links in a template that are written without `url()`."""
    html = _blank(LINK_WITH_LANGUAGE, _blank(TEMPLATE_CODE, text))
    for match in LINK.finditer(html):
        if has_language(match[1]):
            yield html.count("\n", 0, match.start()) + 1, text[match.start(1) : match.end(1)]


def _blank(pattern: re.Pattern[str], text: str) -> str:
    """Replace all matches by blanks, which keep the positions and lines."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def check_new_texts(settings: Settings) -> Iterator[Finding]:
    """Report catalogues that `makemessages` would change. Reading the source takes seconds in large projects."""
    try:
        for source in find_sources():
            codes = [*content_languages(settings), *existing_languages(source)]
            for path in update_catalogues(source, codes, check=True):
                yield Finding.warning(f"{path} is out of date. Run {OPPMAN} makemessages")
    except OperatorError as error:  # also reported by `check_catalogues`, or by the import of the file
        yield Finding.warning(str(error))
