"""Sources of texts: Python files, templates and scripts of the site, and the labels that it declares."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

from opportune.contrib.translations import python_texts
from opportune.contrib.translations.catalogue_files import is_editable
from opportune.contrib.translations.labels import site_labels
from opportune.errors import OperatorError
from opportune.i18n.catalogues import LABEL_CONTEXT
from opportune.i18n.translation import DerivedLabel
from opportune.project.current import project_folder
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, PROJECT

METHODS = [
    ("**.py", f"{python_texts.__name__}:extract_texts"),
    ("**.html", "jinja2.ext:babel_extract"),
    ("**.txt", "jinja2.ext:babel_extract"),
    ("**.js", "javascript"),
]
"""Functions that extract texts, by type of file."""
TAGS = "opportune.web.rendering.cache_tag.CacheTag,opportune.web.rendering.shared_parts.SharedParts"
TEMPLATE = {"trimmed": "true", "silent": "false", "extensions": TAGS}
OPTIONS = {"**.html": TEMPLATE, "**.txt": TEMPLATE}
KEYWORDS: dict[str, tuple[int | tuple[int, str], ...] | None] = {
    "_": None,
    "_l": None,
    "_p": ((1, "c"), 2),
    "apply_to_selected": (4,),
    "format_lazy": None,
    "gettext": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
COMMENT_TAGS = ("Translators:",)
"""Beginning of comments that are copied into catalogues."""


@dataclass(frozen=True)
class Source:
    """A part of the site with its own catalogues."""

    name: str
    locale: Path
    """Folder of its catalogues."""
    folders: tuple[Path, ...]
    """Folders with its texts."""
    root: Path
    """Folder that locations in catalogues are relative to."""
    skipped: tuple[Path, ...] = ()
    """Folders inside `folders` that belong to another source."""

    def extract(self) -> Catalog:
        catalog = Catalog(project=self.name, charset="utf-8")
        for folder in self.folders:
            for name, _line, message, comments, context in self._messages(folder):
                catalog.add(message, locations=[(name, 0)], auto_comments=comments, context=context)
        for path, text in self.labels():
            context = LABEL_CONTEXT if isinstance(text, DerivedLabel) and FRAMEWORK in self.folders else None
            catalog.add(str.__str__(text), locations=[(path, 0)], context=context)
        for entry in catalog:
            entry.locations.sort()  # entries of a file are sorted by it
        return catalog

    def labels(self) -> Iterator[tuple[str, str]]:
        """Yield the labels that files of the source declare."""
        for path, texts in site_labels().items():
            parents = {*path.parents}
            if parents & {*self.folders} and not parents & {*self.skipped}:
                yield from ((path.relative_to(self.root).as_posix(), text) for text in texts)

    def files(self) -> Iterator[Path]:
        for folder in self.folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not any(path.is_relative_to(skipped) for skipped in self.skipped):
                    yield path

    def _messages(self, folder: Path) -> Iterator[tuple[str, int, str | tuple[str, ...], list[str], str | None]]:
        def is_searched(path: str | Path) -> bool:
            return Path(path).name not in ("__pycache__", "node_modules") and Path(path) not in self.skipped

        try:
            for name, line, message, comments, context in extract_from_dir(
                folder, METHODS, OPTIONS, KEYWORDS, COMMENT_TAGS, directory_filter=is_searched
            ):
                path = (folder / name).relative_to(self.root).as_posix()
                yield path, line, message, comments, context
        except (SyntaxError, UnicodeDecodeError, ValueError) as error:
            raise OperatorError(f"The texts below {folder} cannot be read: {error}.") from error


def find_sources() -> list[Source]:
    """Return the sources of the project: each feature, and the rest. The framework is a source in its repository."""
    package = Path(project_folder())
    features = [path.parent for path in sorted(package.glob("*/feature.py"))]
    sources = [_feature_source(folder) for folder in features]
    packages = {name: Path(folder) for name, folder in feature_packages().items()}
    editable = ((name, folder) for name, folder in packages.items() if is_editable(folder))
    sources += [Source(name, folder / "locale", (folder,), folder.parent) for name, folder in editable]
    taken = tuple(folder for source in sources for folder in source.folders)
    folders = tuple(folder for folder in (package, PROJECT / "templates", PROJECT / "static") if folder.is_dir())
    sources.append(Source("project", PROJECT / "locale", folders, PROJECT, taken))
    if FRAMEWORK.parent == PROJECT:
        sources.append(Source("opportune", FRAMEWORK / "locale", (FRAMEWORK,), FRAMEWORK.parent))
    return sources


def _feature_source(folder: Path) -> Source:
    folders = (folder, PROJECT / "templates" / folder.name, PROJECT / "static" / folder.name)
    return Source(folder.name, folder / "locale", tuple(path for path in folders if path.is_dir()), PROJECT)
