"""Removal of a model: its classes, tests and templates. Other code that names it is listed, not edited."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opportune.cli.scaffold.models import KnownModel, KnownModels
from opportune.cli.scaffold.removal import refuse_unknown
from opportune.cli.scaffold.words import plural, snake
from opportune.config.project import PACKAGE
from opportune.errors import OperatorError


def plan_removal(project: Path, feature: str, name: str) -> "ModelRemoval":
    """Return what is to be removed.

    Raises:
        OperatorError: there is no such model, or other models and features need it.
    """
    models = [each for each in KnownModels(project).all if each.feature == feature]
    model = next((each for each in models if each.name == name), None)
    if model is None or model.file.parent.parent != project / PACKAGE:
        if not models:
            refuse_unknown(feature, project)
        names = ", ".join(each.name for each in models) or "none"
        raise OperatorError(f"{feature} has no model {name}. It has: {names}.")
    if len(models) == 1:
        raise OperatorError(
            f"{name} is the only model of {feature}: delete that, python3 oppman.py removeapp {feature}"
        )
    removal = ModelRemoval(project, model)
    if place := next(removal.uses(), ""):
        raise OperatorError(f"{name} is used by {place}: change that first.")
    return removal


@dataclass(frozen=True)
class ModelRemoval:
    """The files that change or go with a model."""

    project: Path
    model: KnownModel

    def summary(self) -> Iterator[str]:
        """Name what is removed, an item a line."""
        yield f"{', '.join(sorted(self.classes))} of {self._shown(self.model.file)}"
        yield from map(self._shown, self.gone)
        yield f"once you run migrate: {', '.join(self.tables)} with all rows"

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The model, its link tables, and the enums that no other class of the file uses."""
        tree = ast.parse(self.model.file.read_bytes())
        there = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        own = there[self.model.name]
        links = {
            ast.unparse(each.value)
            for each in ast.walk(own)
            if isinstance(each, ast.keyword) and each.arg == "link_model"
        }
        used = {name for other in there.values() if other is not own for name in _names_in(other)}
        enums = {name for name in (_names_in(own) & there.keys()) - used if "Enum" in ast.unparse(there[name].bases[0])}
        return {name: there[name] for name in (own.name, *sorted(links & there.keys()), *sorted(enums))}

    @cached_property
    def tables(self) -> list[str]:
        """Tables of the removed classes, the model's first."""
        tables = {each.name: each.table for each in KnownModels(self.project).all if each.feature == self.model.feature}
        return [tables[name] for name in self.classes if name in tables]

    @cached_property
    def texts(self) -> dict[Path, str]:
        """New texts of `models.py` and of the access table."""
        texts = {self.model.file: _without(self.model.file, list(self.classes.values()))}
        table = self.project / "tests" / self.model.feature / "access.txt"
        if table.is_file():
            pages = rf"|(?:/api/v1)?{re.escape(self._path)}" if self._path else ""
            own = re.compile(rf" (?:/admin/{self.model.identity}{pages})(?:/| )")
            lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
            texts[table] = "".join(line for line in lines if not own.search(line))
        return texts

    @cached_property
    def gone(self) -> Sequence[Path]:
        """Its tests and templates, under the names that `addmodel` gives them."""
        model, tests = self.model, self.project / "tests" / self.model.feature
        imported = re.compile(rf"\.{model.feature}\.models import .*\b{model.name}\b")
        names = (f"test_{snake(plural(model.name))}.py", f"test_{snake(model.name)}_rows.py")
        found = [
            path for name in names if (path := tests / name).is_file() and imported.search(path.read_text("utf-8"))
        ]
        return [*found, *sorted((self.project / "templates" / model.feature).glob(f"{snake(model.name)}_*.html"))]

    def uses(self) -> Iterator[str]:
        """Places that keep it from being removed: other models, and code of other features."""
        model, names = self.model, "|".join(self.classes)
        needed = re.compile(
            rf"\b{PACKAGE}\.{model.feature}\.models import .*\b{model.name}\b"
            rf'|foreign_key="(?:{"|".join(self.tables)})\.'
        )
        named = re.compile(rf"(?<![\w\"'/.])(?:{names})\b(?![\"'])")
        kept = {number for node in self.classes.values() for number in range(node.lineno, (node.end_lineno or 0) + 1)}
        for path in sorted(self.project.glob(f"{PACKAGE}/*/*.py")) + sorted(self.project.glob("tests/*/*.py")):
            is_own = path == model.file
            if is_own or path.parent.name != model.feature:
                for number, line in _code_lines(path):
                    if not (is_own and number in kept) and (needed.search(line) or (is_own and named.search(line))):
                        yield f"{self._shown(path)}:{number}"

    def leftovers(self) -> Iterator[str]:
        """Lines of its own feature that still name it, such as `app/blog/service.py:4`."""
        others = "|".join(each.name for each in KnownModels(self.project).all if each.name not in self.classes)
        names = "|".join(dict.fromkeys(each for name in self.classes for each in (name, plural(name))))
        path = rf'|"{re.escape(self._path)}["/]' if self._path else ""
        router = snake(plural(self.model.name))
        named = re.compile(
            rf'\b(?!(?:{others})\b)(?:{names})(?:[A-Z]\w*)?\b|\b{router}_router\b|"{self.model.identity}": {path}'
        )
        folders = [self.project / part / self.model.feature for part in (PACKAGE, "tests")]
        for file in (file for folder in folders for file in sorted(folder.rglob("*.py"))):
            yield from (f"{self._shown(file)}:{number}" for number, line in _code_lines(file) if named.search(line))

    @cached_property
    def _path(self) -> str:
        """The address of its pages; empty if it has none."""
        name = f"{self.model.feature}.{self.model.name}"
        return KnownModels(self.project).find(name, self.model.feature, "").path

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def _names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _code_lines(path: Path) -> Iterator[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return ((number, line.partition("#")[0]) for number, line in enumerate(lines, 1))


def _without(file: Path, classes: Sequence[ast.ClassDef]) -> str:
    """Return the text of a module without these classes and the comments right above them."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for node in sorted(classes, key=lambda each: each.lineno, reverse=True):
        start = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 1
        while start and lines[start - 1].startswith("#"):
            start -= 1
        del lines[start : node.end_lineno]
    return re.sub(r"\n{4,}", "\n\n\n", "".join(lines)).strip("\n") + "\n"
