"""Removal of a project's feature: its files, its lines in known files, and the code that uses it."""

import ast
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opportune.cli.scaffold.installed import INSTALLED, without_feature
from opportune.config.project import FRAMEWORK, PACKAGE, USERS
from opportune.errors import OperatorError
from opportune.runtime.counts import counted
from opportune.runtime.suggestions import did_you_mean

FOLDERS = (PACKAGE, "templates", "static", "tests", "migrations/versions", "bench/features")
"""Parents of the feature's folders."""
FILES = ("docs/{}.md", "docs/images/{}.png")
CODE = (PACKAGE, "tests", "bench", "migrations")
FRAMEWORK_TESTS = "tests/opportune"
"""They need no feature of the project, and have projects of their own; only the starter has them."""
EXAMPLE = ".env.example"
AREA_MARK = "# ====="
DOCS = ("README.md", "docs/*.md")
ENTRY = re.compile(r"\s*([-*|!]|\d+\.) ?")
"""Start of a line that is an entry of a list or a table, or a picture."""


@dataclass(frozen=True)
class Removal:
    """A feature, and the folder of the project that it is in."""

    name: str
    project: Path

    def refuse(self) -> None:
        """Look whether it can go.

        Raises:
            OperatorError: it is no feature of the project, or other code uses it.
        """
        refuse_unknown(self.name, self.project)
        if self.name == USERS:
            raise OperatorError(f"{PACKAGE}/{USERS} is what the accounts of this site are made of: it stays.")
        if used := list(self.uses()):
            more = f" and {len(used) - 3} more" if len(used) > 3 else ""
            raise OperatorError(f"{self.name} is used by {', '.join(used[:3])}{more}: change that first.")

    def summary(self) -> Iterator[str]:
        """Name what is deleted, an item a line."""
        for path in self.paths:
            files = [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
            yield f"{self._shown(path)}/ ({counted(len(files), 'file')})" if path.is_dir() else self._shown(path)
        for path, text in self.rewritten.items():
            lines = len(path.read_text(encoding="utf-8").splitlines()) - len(text.splitlines())
            yield f"{counted(lines, 'line')} of {self._shown(path)}"

    def carry_out(self) -> None:
        """Write the texts without it, then delete its files.

        Raises:
            OperatorError: a file cannot be changed; whoever runs it again goes on from there.
        """
        path = self.project
        try:
            for path, text in self.rewritten.items():
                path.write_text(text, encoding="utf-8")
            for path in reversed(self.paths):  # its package last: without it nobody could run this again
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        except OSError as error:
            raise OperatorError(
                f"{self._shown(path)} cannot be changed ({error.strerror}): mend that, then again."
            ) from error

    def leftovers(self) -> Iterator[str]:
        """Yield what the user has to change: prose that names the feature, and its settings in `.env`."""
        for path in self._documents:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if self._is_named_in(line):
                    yield f"{self._shown(path)}:{number} still names it."
        env = self.project / ".env"
        lines = env.read_text(encoding="utf-8", errors="replace").splitlines() if env.is_file() else []
        for line in lines:
            if (name := line.partition("=")[0].strip()) in self.settings:
                yield f"{name} in .env means nothing any more."

    @cached_property
    def paths(self) -> Sequence[Path]:
        """Its folders and files."""
        places = [f"{folder}/{self.name}" for folder in FOLDERS] + [file.format(self.name) for file in FILES]
        return [path for place in places if (path := self.project / place).exists()]

    @cached_property
    def settings(self) -> Sequence[str]:
        """The variables of its settings, read from the text: what is to be deleted need not work any more."""
        file = self.project / PACKAGE / self.name / "settings.py"
        tree = ast.parse(file.read_bytes()) if file.is_file() else ast.Module([], [])
        kinds = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        fields = [node.target for kind in kinds for node in kind.body if isinstance(node, ast.AnnAssign)]
        return [target.id.upper() for target in fields if isinstance(target, ast.Name)]

    @cached_property
    def rewritten(self) -> dict[Path, str]:
        """The texts that name it, as they will be."""
        changes: dict[Path, Callable[[str], str]] = dict.fromkeys(self._documents, self._without_entries)
        changes[self.project / INSTALLED] = lambda text: without_feature(text, self.name)
        changes[self.project / EXAMPLE] = self._without_settings
        texts = {path: path.read_text(encoding="utf-8") for path in changes if path.is_file()}
        return {path: new for path, text in texts.items() if (new := changes[path](text)) != text}

    def uses(self) -> Iterator[str]:
        """The places of other code and templates that would miss it, as `app/books/pages.py:3`."""
        code, templates = self._patterns()
        spared = [*self.paths, self.project / FRAMEWORK_TESTS]
        files = [file for folder in CODE for file in sorted((self.project / folder).rglob("*.py"))]
        searched = dict.fromkeys(files, code)
        searched |= dict.fromkeys(sorted((self.project / "templates").rglob("*.*")), templates)
        for file, pattern in searched.items():
            text = file.read_text(encoding="utf-8", errors="replace")
            if self.name not in text:  # which is found in a tenth of the time
                continue
            if file == self.project / INSTALLED or any(file.is_relative_to(path) for path in spared):
                continue
            if found := pattern.search(text):
                yield f"{self._shown(file)}:{text.count(chr(10), 0, found.start()) + 1}"

    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str]]:
        """Patterns of Python code and templates that use the feature."""
        package, name = re.escape(PACKAGE), re.escape(self.name)
        imported = rf"^[ \t]*(?:from|import) {package}\.{name}\b|^[ \t]*from {package} import (?:\([^)]*|.*)\b{name}\b"
        pointed_at = rf"""(?:foreign_key=|\bForeignKey\(\s*)["']{name}_\w+\.|^depends_on\b.*["']{name}_\d"""
        read = rf"""(?:{{%-?\s*(?:extends|include|import|from)\s+|\basset\(\s*)["']{name}/"""
        return re.compile(f"{imported}|{pointed_at}", re.MULTILINE), re.compile(read)

    @cached_property
    def _names(self) -> re.Pattern[str]:
        places = "|".join(re.escape(folder) for folder in FOLDERS)
        files = "|".join(re.escape(file.removeprefix("docs/").format(self.name)) for file in FILES)
        modules = "|".join(re.escape(folder.replace("/", ".")) for folder in FOLDERS)
        return re.compile(rf"\b(?:{places})/{self.name}\b|\b(?:{modules})\.{self.name}\b|[(/](?:{files})")

    def _is_named_in(self, line: str) -> bool:
        return self.name in line and bool(self._names.search(line))  # the first takes a tenth of the time

    @cached_property
    def _documents(self) -> list[Path]:
        # The starter's own docs link to its examples, by their README.md; other features in them are nobody's.
        readme = self.project / PACKAGE / self.name / "README.md"
        patterns = DOCS if readme.is_file() or not (self.project / FRAMEWORK_TESTS).is_dir() else DOCS[:1]
        paths = [path for pattern in patterns for path in sorted(self.project.glob(pattern))]
        return [path for path in paths if path not in self.paths]

    def _without_entries(self, text: str) -> str:
        """Without the lines that stand for themselves: of lists, tables and code, and pictures."""
        kept, in_code = [], False
        for line in text.splitlines(keepends=True):
            in_code ^= line.startswith("```")
            if not ((in_code or ENTRY.match(line)) and self._is_named_in(line)):
                kept.append(line)
        return "".join(kept)

    def _without_settings(self, text: str) -> str:
        """Return the text without the feature's settings, and without the headings of emptied areas."""
        ends = tuple(f"\n# {name}=" for name in self.settings)
        kept = [each for each in text.rstrip("\n").split("\n\n") if not any(end in f"\n{each}" for end in ends)]
        following = [*kept[1:], AREA_MARK]
        headed = [
            each
            for each, after in zip(kept, following, strict=True)
            if not (each.startswith(AREA_MARK) and after.startswith(AREA_MARK))
        ]
        return "\n\n".join(headed) + "\n"

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def refuse_unknown(name: str, project: Path) -> None:
    """Look whether a feature is there.

    Raises:
        OperatorError: it is none of the project's own.
    """
    if re.fullmatch(r"\w+", name) and (project / PACKAGE / name).is_dir():
        return
    folders = [path.parent.name for path in (project / PACKAGE).glob("*/feature.py")]
    if re.fullmatch(r"\w+", name) and any(FRAMEWORK.rglob(f"{name}/feature.py")):
        hint = f" {name} is the framework's: all of it here is its line in {INSTALLED}."
    else:
        hint = did_you_mean(name, folders) or f" What is installed stands in {INSTALLED}."
    raise OperatorError(f"There is no feature {PACKAGE}/{name}.{hint}")
