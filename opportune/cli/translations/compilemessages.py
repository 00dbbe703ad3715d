"""Compile the catalogues of the project, for production.

Without compiled catalogues (.mo), each process compiles a language on its first use. Fuzzy translations and those with
wrong placeholders are left out.
"""

from pathlib import Path

from opportune.cli.output import say, warn
from opportune.cli.translations.catalogue_files import find_problems, read_catalogue, write_catalogue
from opportune.config.project import FRAMEWORK, PROJECT, display_path
from opportune.i18n.catalogues import locale_folders
from opportune.runtime.catalogue_compiler import compile_catalogue
from opportune.runtime.counts import pluralize


def command() -> None:
    paths = project_catalogues()
    for path in paths:
        for problem in find_problems(read_catalogue(path, path.parents[1].name)):
            warn(f"{display_path(path)}: {problem}")
        write_catalogue(path.with_suffix(".mo"), compile_catalogue(path.read_text(encoding="utf-8")))
    say(f"Compiled {pluralize(len(paths), 'catalogue')}.")


def project_catalogues() -> list[Path]:
    """Return the catalogues below the project's folder. Those of packages are compiled in their wheels."""
    folders = [folder for folder in locale_folders() if folder.is_relative_to(PROJECT)]
    if FRAMEWORK.parent != PROJECT:
        folders = [folder for folder in folders if not folder.is_relative_to(FRAMEWORK)]
    return sorted(path for folder in folders for path in folder.glob("*/LC_MESSAGES/*.po"))
