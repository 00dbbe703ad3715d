"""Removal of a feature from the project: its files, its lines in known files, and a search for code that uses it."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opportune.cli.scaffold.feature_names import files_in
from opportune.cli.scaffold.installed import INSTALLED, without_feature
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.plurals import list_first, pluralize
from opportune.project.feature_packages import PREFIX, feature_packages
from opportune.project.layout import FRAMEWORK, PACKAGE, USERS
from opportune.project.text_files import write_text

PARENT_FOLDERS = (PACKAGE, "templates", "static", "tests", "migrations/versions", "bench/features")
"""Parents of the feature's folders."""
FILE_PATTERNS = ("docs/{}.md", "docs/images/{}.png")
CODE_FOLDERS = (PACKAGE, "tests", "bench", "migrations")
FRAMEWORK_TESTS = "tests/opportune"
"""Tests of the framework, which only the starter contains. They do not use the features of this project."""
ENV_EXAMPLE = ".env.example"
SECTION_MARK = "# ====="
DOCS = ("README.md", "docs/*.md")
ENTRY = re.compile(r"\s*([-*|!]|\d+\.) ?")
"""Start of a list item, a table row or an image."""


@dataclass(frozen=True)
class FeatureRemoval:
    """The files and lines to remove with a feature."""

    name: str
    project: Path

    def check(self) -> None:
        """Check that the feature can be removed."""
        _require_feature(self.name, self.project)
        if self.name == USERS:
            raise OperatorError(f"{PACKAGE}/{USERS} has the user model of this site and cannot be removed.")
        if uses := list(self.uses()):
            raise OperatorError(f"{self.name} is used by {list_first(uses, 3)}. Remove these uses first.")

    def summary(self) -> Iterator[str]:
        """Yield the folders, files and lines to delete."""
        for path in self.paths:
            name = self._relative(path)
            yield f"{name}/ ({pluralize(len(files_in(path)), 'file')})" if path.is_dir() else name
        for path, text in self.new_texts.items():
            lines = len(path.read_text(encoding="utf-8").splitlines()) - len(text.splitlines())
            yield f"{pluralize(lines, 'line')} of {self._relative(path)}"

    def apply(self) -> None:
        """Remove its lines from other files, then delete its own files."""
        path = self.project  # the path in the message
        try:
            for path, text in self.new_texts.items():
                write_text(path, text)
            for path in reversed(self.paths):  # the package last, because `check` needs it when this is run again
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise OperatorError(
                f"{self._relative(path)} cannot be changed ({error.strerror}). Fix this and run the command again."
            ) from error

    def leftovers(self) -> Iterator[str]:
        """Yield lines for the user to change: documentation that names the feature, and its settings in `.env`."""
        for path in self._documents:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if self._mentions.search(line):
                    yield f"{self._relative(path)}:{number} still mentions it."
        env = self.project / ".env"
        lines = env.read_text(encoding="utf-8", errors="replace").splitlines() if env.is_file() else []
        for line in lines:
            if (name := line.partition("=")[0].strip()) in self.settings:
                yield f"{name} in .env is no longer used."

    @cached_property
    def paths(self) -> Sequence[Path]:
        """Folders and files of the feature."""
        names = [f"{folder}/{self.name}" for folder in PARENT_FOLDERS]
        names += [file.format(self.name) for file in FILE_PATTERNS]
        return [self.project / name for name in names if (self.project / name).exists()]

    @cached_property
    def settings(self) -> Sequence[str]:
        """Environment variables of its settings. The file is parsed, because it may no longer be importable."""
        package = feature_packages().get(self.name)
        file = (Path(package) if package else self.project / PACKAGE / self.name) / "settings.py"
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        return [name.upper() for name in re.findall(r"^    (\w+): ", text, re.MULTILINE)]

    @cached_property
    def new_texts(self) -> dict[Path, str]:
        """New texts of the files that mention the feature."""
        changes = self.changes()
        texts = {path: path.read_text(encoding="utf-8") for path in changes if path.is_file()}
        return {path: new for path, text in texts.items() if (new := changes[path](text)) != text}

    def changes(self) -> dict[Path, Callable[[str], str]]:
        """Return the functions that remove the feature from the texts of files."""
        changes: dict[Path, Callable[[str], str]] = dict.fromkeys(self._documents, self._without_entries)
        changes[self.project / INSTALLED] = lambda text: without_feature(text, self.name)
        changes[self.project / ENV_EXAMPLE] = self._without_settings
        return changes

    def uses(self) -> Iterator[str]:
        """Yield lines of other code and templates that use the feature, such as `app/books/pages.py:3`."""
        code, templates = self._use_patterns()
        ignored = [*self.paths, self.project / FRAMEWORK_TESTS, self.project / INSTALLED]
        files = [file for folder in CODE_FOLDERS for file in sorted((self.project / folder).rglob("*.py"))]
        patterns = dict.fromkeys(files, code)
        patterns |= dict.fromkeys(sorted((self.project / "templates").rglob("*.*")), templates)
        for file, pattern in patterns.items():
            text = file.read_text(encoding="utf-8", errors="replace")
            if self.name not in text or any(file.is_relative_to(path) for path in ignored):
                continue
            if match := pattern.search(text):
                yield f"{self._relative(file)}:{text.count(chr(10), 0, match.start()) + 1}"

    def _use_patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """Return patterns of Python code and of templates that use the feature."""
        name = re.escape(self.name)
        longer_names = (path.name for path in (self.project / PACKAGE).glob(f"{self.name}_*"))  # with tables of theirs
        others = "".join(f"(?!{other}_)" for other in longer_names)
        imported = rf"^[ \t]*(?:from|import) (?:{PACKAGE}\.|{PREFIX}){name}\b"
        imported += rf"|^[ \t]*from {PACKAGE} import (?:\([^)]*|.*)\b{name}\b"
        referenced = rf"""(?:foreign_key=|\bForeignKey\(\s*)["']{others}{name}_\w+\.|^depends_on\b.*["']{name}_\d"""
        included = rf"""(?:{{%-?\s*(?:extends|include|import|from)\s+|\basset\(\s*)["']{name}/"""
        return re.compile(f"{imported}|{referenced}", re.MULTILINE), re.compile(included)

    @cached_property
    def _mentions(self) -> re.Pattern[str]:
        folders = "|".join(re.escape(folder) for folder in PARENT_FOLDERS)
        files = "|".join(re.escape(file.removeprefix("docs/").format(self.name)) for file in FILE_PATTERNS)
        modules = "|".join(re.escape(folder.replace("/", ".")) for folder in PARENT_FOLDERS)
        return re.compile(rf"\b(?:{folders})/{self.name}\b|\b(?:{modules})\.{self.name}\b|[(/](?:{files})")

    @cached_property
    def _documents(self) -> list[Path]:
        # The starter's docs mention its examples, which have a README.md. They do not mention other features.
        readme = self.project / PACKAGE / self.name / "README.md"
        patterns = DOCS if readme.is_file() or not (self.project / FRAMEWORK_TESTS).is_dir() else DOCS[:1]
        paths = [path for pattern in patterns for path in sorted(self.project.glob(pattern))]
        return [path for path in paths if path not in self.paths]

    def _without_entries(self, text: str) -> str:
        """Return the text without list items, table rows, commands and images that name the feature."""
        lines = []
        in_commands = False
        for line in text.splitlines(keepends=True):
            if line.startswith("```"):
                in_commands = line.startswith("```sh")  # other code would break without one of its lines
            is_entry = in_commands or ENTRY.match(line)
            if not (is_entry and self._mentions.search(line)):
                lines.append(line)
        return "".join(lines)

    def _without_settings(self, text: str) -> str:
        """Return the text without the feature's settings, and without headings of empty sections."""
        lines_of_settings = tuple(f"\n# {name}=" for name in self.settings)
        blocks = text.rstrip("\n").split("\n\n")
        blocks = [block for block in blocks if not any(line in f"\n{block}" for line in lines_of_settings)]
        remaining: list[str] = []
        for block, following in zip(blocks, [*blocks[1:], SECTION_MARK], strict=True):
            is_empty_section = block.startswith(SECTION_MARK) and following.startswith(SECTION_MARK)
            if not is_empty_section:
                remaining.append(block)
        return "\n\n".join(remaining) + "\n"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def _require_feature(name: str, project: Path) -> None:
    if name in feature_packages() or (re.fullmatch(r"\w+", name) and (project / PACKAGE / name).is_dir()):
        return
    folders = [path.parent.name for path in (project / PACKAGE).glob("*/feature.py")]
    if re.fullmatch(r"\w+", name) and any(FRAMEWORK.rglob(f"{name}/feature.py")):
        hint = f" {name} is a feature of the framework. Remove its line from {INSTALLED}."
    else:
        hint = did_you_mean(name, folders) or f" {INSTALLED} lists the installed features."
    raise OperatorError(f"There is no feature {PACKAGE}/{name}.{hint}")
