"""Takes a model out of a feature again: what `addmodel` wrote for it, and what else is of it alone."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opportune.cli.scaffold.access import deletable
from opportune.cli.scaffold.feature_file import feature_call
from opportune.cli.scaffold.models import KnownModel, KnownModels
from opportune.cli.scaffold.module_imports import without_names
from opportune.cli.scaffold.removal import refuse_unknown
from opportune.cli.scaffold.source import NotAsExpected, Source, read_source, without, without_statement
from opportune.cli.scaffold.words import plural, snake
from opportune.config.project import PACKAGE
from opportune.errors import OperatorError


@dataclass
class ModelRemoval:
    """What goes with a model, worked out before anything is changed."""

    project: Path
    model: KnownModel
    texts: dict[Path, str] = field(default_factory=dict)
    """The files that change, as they will be."""
    gone: list[Path] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Classes and routers that go."""
    tables: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.project / PACKAGE / self.model.feature

    def summary(self) -> Iterator[str]:
        """What goes, a line each."""
        yield f"{', '.join(sorted(self.names))} of {PACKAGE}/{self.model.feature}"
        yield from (path.relative_to(self.project).as_posix() for path in self.gone)
        yield f"once you run migrate: {', '.join(self.tables)} with all rows"


def plan_removal(project: Path, feature: str, name: str) -> ModelRemoval:
    """What is to be removed.

    Raises:
        OperatorError: there is no such model, or other code needs it.
    """
    known = KnownModels(project)
    there = [each for each in known.all if each.feature == feature]
    found = next((each for each in there if each.name == name), None)
    if found is None or found.file.parent.parent != project / PACKAGE:
        if not there:
            refuse_unknown(feature, project)
        names = ", ".join(each.name for each in there) or "none"
        raise OperatorError(f"{feature} has no model {name}. It has: {names}.")
    if len(there) == 1:
        raise OperatorError(
            f"{name} is the only model of {feature}: delete that, python3 oppman.py removeapp {feature}"
        )
    removal = ModelRemoval(project, found)
    _find_names(removal)
    _cut(removal)
    _cut_feature(removal)
    _find_files(removal)
    _refuse_uses(removal)
    return removal


def _find_names(removal: ModelRemoval) -> None:
    """The model, what is there for it alone in models.py, and what is made of these in the other files."""
    models = read_source(removal.model.file.read_text(encoding="utf-8"), "models.py")
    classes = {node.name: node for node in models.tree.body if isinstance(node, ast.ClassDef)}
    own = classes[removal.model.name]
    mentioned = _names_in(own)
    links = {
        each.value.id
        for each in ast.walk(own)
        if isinstance(each, ast.keyword) and each.arg == "link_model" and isinstance(each.value, ast.Name)
    }
    others = set().union(*(_names_in(node) for name, node in classes.items() if name not in {own.name, *links}), set())
    enums = {
        name
        for name in mentioned & classes.keys() - others
        if any("Enum" in ast.unparse(b) for b in classes[name].bases)
    }
    removal.names = {own.name, *links, *enums}
    known = KnownModels(removal.project).all
    tables = {each.name: each.table for each in known if each.feature == removal.model.feature}
    removal.tables = [tables[name] for name in (own.name, *sorted(links))]
    files = [Source(path.read_text(encoding="utf-8")) for path in _files(removal)]
    while True:
        more = {name for source in files for node in source.tree.body for name in _made_of(node, removal.names)}
        if more <= removal.names:
            return
        removal.names |= more


def _files(removal: ModelRemoval) -> list[Path]:
    return [path for path in sorted(removal.folder.glob("*.py")) if path.name not in ("feature.py", "models.py")]


def _made_of(node: ast.stmt, names: set[str]) -> set[str]:
    """What a statement at the top of a module defines from these names: `class Posts(Crud[Post])`, a router."""
    match node:
        case ast.ClassDef(name=name, bases=bases, keywords=keywords):
            return {name} if any(_names_in(each) & names for each in (*bases, *keywords)) else set()
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if _names_in(value) & names:
            return {name}
    return set()


def _names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _cut(removal: ModelRemoval) -> None:
    """Take the definitions out of the feature's files, and the imports that nothing needs any more."""
    for path in (removal.model.file, *_files(removal)):
        source = before = Source(path.read_text(encoding="utf-8"))
        for node in reversed(before.tree.body):
            if _defines(node) & removal.names:
                source = without_statement(source, node)
        if source is before:
            continue
        used = _names_in(source.tree)
        removal.texts[path] = _tidied(without_names(source, (_names_in(before.tree) | removal.names) - used).text)


def _defines(node: ast.stmt) -> set[str]:
    match node:
        case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
            return {name}
    return set()


def _tidied(text: str) -> str:
    """Without blank lines at the start, and with no more than two of them anywhere."""
    return re.sub(r"\n{4,}", "\n\n\n", text).strip("\n") + "\n" if text.strip() else ""


def _cut_feature(removal: ModelRemoval) -> None:
    """Take the entries out of `Feature(…)` that name what goes."""
    path = removal.folder / "feature.py"
    source = before = read_source(path.read_text(encoding="utf-8"), "feature.py")
    addresses = _addresses(removal)
    while found := _entry_to_cut(source, removal, addresses):
        display, index = found
        source = without(source, display, index)
    removal.texts[path] = without_names(source, _names_in(before.tree) - _names_in(source.tree)).text


def _addresses(removal: ModelRemoval) -> set[str]:
    pages = removal.folder / "pages.py"
    code = pages.read_text(encoding="utf-8") if pages.is_file() else ""
    return {path for name in removal.names for path in re.findall(rf'\({name}, "(/[^"]*)"', code)}


def _entry_to_cut(
    source: Source, removal: ModelRemoval, addresses: set[str]
) -> tuple[ast.List | ast.Tuple | ast.Dict | ast.Call, int] | None:
    """The next entry that names what goes, innermost first; a list that is left empty goes with its name."""
    try:
        call = feature_call(source)
    except NotAsExpected as error:
        raise OperatorError(f"{PACKAGE}/{removal.model.feature}/feature.py {error}. Nothing was changed.") from error
    positional = len(call.args)
    for number, keyword in enumerate(call.keywords):
        if keyword.arg in ("name", "summary"):
            continue
        for display in (node for node in ast.walk(keyword.value) if isinstance(node, ast.List | ast.Tuple | ast.Dict)):
            for index, entry in enumerate(_keys(display)):
                if _is_of(entry, removal, addresses):
                    return display, index
        if _is_of(keyword.value, removal, addresses) or _is_empty(keyword.value):
            return call, positional + number
    return None


def _keys(display: ast.List | ast.Tuple | ast.Dict) -> list[ast.expr]:
    """The entries; of groups those that have been left without rights."""
    if isinstance(display, ast.Dict):
        pairs = zip(display.keys, display.values, strict=True)
        return [value if _is_empty(value) else (key or value) for key, value in pairs]
    return display.elts


def _is_empty(node: ast.expr) -> bool:
    match node:
        case ast.List(elts=[]) | ast.Tuple(elts=[]) | ast.Dict(keys=[]):
            return True
        case ast.Call(func=ast.Name(id="PersonalData"), keywords=keywords):
            return any(each.arg == "owners" and _is_empty(each.value) for each in keywords)
    return False


def _is_of(node: ast.expr, removal: ModelRemoval, addresses: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="Link"), args=[_, ast.Constant(value=path), *_]):
            return path in addresses
        case ast.Constant(value=text):
            return text == removal.model.identity
        case ast.Dict(keys=[]):
            return True
    attributes = {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)}
    is_one = not isinstance(node, ast.List | ast.Tuple | ast.Dict) and not (isinstance(node, ast.Call))
    return is_one and bool((attributes | _names_in(node)) & removal.names)


def _find_files(removal: ModelRemoval) -> None:
    """Its tests and templates, and its lines in access.txt."""
    model, tests = removal.model, removal.project / "tests" / removal.model.feature
    names = (f"test_{snake(plural(model.name))}.py", f"test_{snake(model.name)}_rows.py")
    imported = re.compile(rf"\.{model.feature}\.models import .*\b{model.name}\b")
    found = [path for name in names if (path := tests / name).is_file() and imported.search(path.read_text("utf-8"))]
    removal.gone = found
    templates = removal.project / "templates" / model.feature
    removal.gone += sorted(templates.glob(f"{model.name.lower()}_*.html"))
    table = tests / "access.txt"
    if table.is_file():
        paths = "|".join(re.escape(path) for path in sorted(_addresses(removal)))
        own = re.compile(rf" (?:(?:/api/v1)?(?:{paths})|/admin/{model.identity})(?:/| )" if paths else r"$^")
        lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
        removal.texts[table] = "".join(line for line in lines if not own.search(line))
    for target in _freed(removal):
        table = removal.project / "tests" / target.feature / "access.txt"
        text = removal.texts.get(table) or (table.read_text(encoding="utf-8") if table.is_file() else "")
        if text and target.path:
            removal.texts[table] = deletable(text, target.path, is_of_team=target.is_of_team)


def _freed(removal: ModelRemoval) -> Iterator[KnownModel]:
    """The models of which this one was the last whose rows kept theirs from being deleted."""
    known = KnownModels(removal.project)
    own, others = set(_held_tables(removal.model)), [each for each in known.all if each.name not in removal.names]
    for table in own - {name for each in others for name in _held_tables(each)}:
        if target := next((each for each in others if each.table == table), None):
            yield known.find(f"{target.feature}.{target.name}", removal.model.feature, "")


def _held_tables(model: KnownModel) -> Iterator[str]:
    """The tables of rows that cannot be deleted while a row of this model points at them."""
    for node in ast.walk(ast.parse(model.file.read_bytes())):
        if isinstance(node, ast.ClassDef) and node.name == model.name:
            keys = re.findall(r"foreign_key=['\"](\w+)\.\w+['\"]([^)]*)", ast.unparse(node))
            yield from (table for table, more in keys if "ondelete" not in more)


def _refuse_uses(removal: ModelRemoval) -> None:
    """Raise OperatorError where other code names what goes, or points at its tables."""
    key = re.compile(rf'foreign_key="(?:{"|".join(removal.tables)})\.')
    for path in sorted(removal.project.glob(f"{PACKAGE}/*/*.py")) + sorted(removal.project.glob("tests/*/*.py")):
        if path in removal.gone:
            continue
        text = removal.texts.get(path) or path.read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            is_near = path.parent.name == removal.model.feature
            of_it = rf"\b{PACKAGE}\.{removal.model.feature}\.models import .*\b{removal.model.name}\b"
            if key.search(line) or (is_near and _mentions(line, removal.names)) or re.search(of_it, line):
                where = f"{path.relative_to(removal.project).as_posix()}:{_line_before(path, line, number)}"
                raise OperatorError(f"{removal.model.name} is used by {where}: change that first.")


def _mentions(line: str, names: set[str]) -> bool:
    code = line.partition("#")[0]
    return any(re.search(rf"(?<![\w\"'/.]){name}\b(?![\"'])", code) for name in names - {"router"})


def _line_before(path: Path, line: str, number: int) -> int:
    """The number of a line in the file as it is still."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines.index(line) + 1 if line in lines else number
