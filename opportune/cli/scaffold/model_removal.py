"""Removal of a model with its classes, tests and templates. Other lines that name it are only listed."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from opportune.cli.scaffold.feature_removal import require_feature
from opportune.cli.scaffold.models import ExistingModel, ExistingModels
from opportune.cli.scaffold.words import plural, snake
from opportune.config.project import PACKAGE
from opportune.errors import OperatorError


def plan_removal(project: Path, feature: str, name: str) -> "ModelRemoval":
    """Return the files to change for the removal of a model.

    Raises:
        OperatorError: the model does not exist, or other models or features need it.
    """
    models = {model.name: model for model in ExistingModels(project).all if model.feature == feature}
    model = models.get(name)
    if model is None or model.file.parent.parent != project / PACKAGE:
        if not models:
            require_feature(feature, project)
        raise OperatorError(f"{feature} has no model {name}. It has: {', '.join(models) or 'none'}.")
    if len(models) == 1:
        raise OperatorError(
            f"{name} is the only model of {feature}. Remove the feature: python3 oppman.py removeapp {feature}"
        )
    removal = ModelRemoval(project, model)
    if use := next(removal.uses(), ""):
        raise OperatorError(f"{name} is used by {use}. Remove this use first.")
    return removal


@dataclass(frozen=True)
class ModelRemoval:
    """The files to change and delete with a model."""

    project: Path
    model: ExistingModel

    def summary(self) -> Iterator[str]:
        """Yield the classes, files and tables to remove."""
        yield f"{', '.join(sorted(self.classes))} of {self._relative(self.model.file)}"
        yield from map(self._relative, self.deleted_files)
        yield f"by the next migrate: {', '.join(self.tables)} with all rows"

    @cached_property
    def classes(self) -> dict[str, ast.ClassDef]:
        """The model, its link tables, and the enums that no other class of the file uses."""
        tree = ast.parse(self.model.file.read_bytes())
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        model = classes[self.model.name]
        keywords = [node for node in ast.walk(model) if isinstance(node, ast.keyword) and node.arg == "link_model"]
        links = {ast.unparse(keyword.value) for keyword in keywords} & classes.keys()
        used = {name for other in classes.values() if other is not model for name in _names_in(other)}
        enums = {
            name for name in (_names_in(model) & classes.keys()) - used if "Enum" in ast.unparse(classes[name].bases[0])
        }
        return {name: classes[name] for name in (model.name, *sorted(links), *sorted(enums))}

    @cached_property
    def tables(self) -> list[str]:
        """Tables of the removed classes, the model's first."""
        models = ExistingModels(self.project).all
        tables = {model.name: model.table for model in models if model.feature == self.model.feature}
        return [tables[name] for name in self.classes if name in tables]

    @cached_property
    def new_texts(self) -> dict[Path, str]:
        """New texts of `models.py` and of the access table."""
        new_texts = {self.model.file: _without_classes(self.model.file, list(self.classes.values()))}
        table = self.project / "tests" / self.model.feature / "access.txt"
        if table.is_file():
            pages = rf"|(?:/api/v1)?{re.escape(self._path)}" if self._path else ""
            address = re.compile(rf" (?:/admin/{self.model.identity}{pages})(?:/| )")
            lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
            new_texts[table] = "".join(line for line in lines if not address.search(line))
        return new_texts

    @cached_property
    def deleted_files(self) -> Sequence[Path]:
        """Tests and templates of the model, under the names that `addmodel` gives them."""
        model, tests = self.model, self.project / "tests" / self.model.feature
        imported = re.compile(rf"\.{model.feature}\.models import .*\b{model.name}\b")
        names = (f"test_{snake(plural(model.name))}.py", f"test_{snake(model.name)}_rows.py")
        files = [
            path for name in names if (path := tests / name).is_file() and imported.search(path.read_text("utf-8"))
        ]
        return [*files, *sorted((self.project / "templates" / model.feature).glob(f"{snake(model.name)}_*.html"))]

    def uses(self) -> Iterator[str]:
        """Yield lines of other models and other features that use the model, which prevent its removal."""
        model, names = self.model, "|".join(self.classes)
        required = re.compile(
            rf"\b{PACKAGE}\.{model.feature}\.models import .*\b{model.name}\b"
            rf'|foreign_key="(?:{"|".join(self.tables)})\.'
        )
        named = re.compile(rf"(?<![\w\"'/.])(?:{names})\b(?![\"'])")
        removed = {line for node in self.classes.values() for line in range(node.lineno, (node.end_lineno or 0) + 1)}
        for path in sorted(self.project.glob(f"{PACKAGE}/*/*.py")) + sorted(self.project.glob("tests/*/*.py")):
            same_file = path == model.file
            if same_file or path.parent.name != model.feature:
                for number, line in _code_lines(path):
                    if same_file and number in removed:
                        continue
                    if required.search(line) or (same_file and named.search(line)):
                        yield f"{self._relative(path)}:{number}"

    def leftovers(self) -> Iterator[str]:
        """Yield lines of the same feature that still name the model, such as `app/blog/service.py:4`."""
        others = "|".join(model.name for model in ExistingModels(self.project).all if model.name not in self.classes)
        names = "|".join(dict.fromkeys(spelling for name in self.classes for spelling in (name, plural(name))))
        path = rf'|"{re.escape(self._path)}["/]' if self._path else ""
        router = snake(plural(self.model.name))
        named = re.compile(
            rf'\b(?!(?:{others})\b)(?:{names})(?:[A-Z]\w*)?\b|\b{router}_router\b|"{self.model.identity}": {path}'
        )
        folders = [self.project / part / self.model.feature for part in (PACKAGE, "tests")]
        for file in (file for folder in folders for file in sorted(folder.rglob("*.py"))):
            yield from (f"{self._relative(file)}:{number}" for number, line in _code_lines(file) if named.search(line))

    @cached_property
    def _path(self) -> str:
        """Address of its pages; empty without pages."""
        name = f"{self.model.feature}.{self.model.name}"
        return ExistingModels(self.project).resolve(name, self.model.feature, "").path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.project).as_posix()


def _names_in(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _code_lines(path: Path) -> Iterator[tuple[int, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return ((number, line.partition("#")[0]) for number, line in enumerate(lines, 1))


def _without_classes(file: Path, classes: Sequence[ast.ClassDef]) -> str:
    """Return the text of a module without these classes and the comments directly above them."""
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for node in sorted(classes, key=lambda node: node.lineno, reverse=True):
        start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        while start and lines[start - 1].startswith("#"):
            start -= 1
        del lines[start : node.end_lineno]
    return re.sub(r"\n{4,}", "\n\n\n", "".join(lines)).strip("\n") + "\n"
