"""Compile the catalogues of the project, for production.

Without compiled catalogues (.mo), each process compiles a language on its first use. Fuzzy translations and those with
wrong placeholders are left out.
"""

from pathlib import Path

from opportune.cli.output import say, warn
from opportune.contrib.translations.catalogue_files import is_editable, not_a_catalogue
from opportune.contrib.translations.catalogue_state import examine_catalogue
from opportune.i18n.catalogue_compiler import compile_catalogue
from opportune.i18n.catalogues import locale_folders
from opportune.plurals import pluralize
from opportune.project.layout import display_path
from opportune.project.text_files import write_text


def command() -> None:
    paths = project_catalogues()
    for path in paths:
        try:
            content = compile_catalogue(path)
            problems = examine_catalogue(path.read_bytes(), path.parents[1].name).broken
        except ValueError as error:
            raise not_a_catalogue(path, error) from error
        for message, problem in problems.items():
            warn(f"{display_path(path)}: {message!r}: {problem}")
        write_text(path.with_suffix(".mo"), content)
    say(f"Compiled {pluralize(len(paths), 'catalogue')}.")


def project_catalogues() -> list[Path]:
    """Return the catalogues of the project and its features. Those of packages are compiled in their wheels."""
    folders = [folder for folder in locale_folders() if is_editable(folder)]
    return sorted(path for folder in folders for path in folder.glob("*/LC_MESSAGES/*.po"))
