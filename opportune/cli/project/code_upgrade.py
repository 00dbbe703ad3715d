"""Use of the current names in the code of a project: its Python files, templates and list of features."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from opportune.cli.project.renamed_code import RenamedCode
from opportune.cli.project.renamed_declarations import Change
from opportune.cli.scaffold.installed import INSTALLED, with_feature
from opportune.cli.scaffold.source import read_source
from opportune.errors import renamed_names
from opportune.project.layout import FRAMEWORK_FEATURES, PACKAGE
from opportune.project.text_files import read_text

FOLDERS = (PACKAGE, "tests", "templates", "migrations")
MAX_PASSES = 4
"""A change inside another one, such as a name in the arguments of `Feature`, takes one more pass."""
PERMISSION_IN_TEMPLATE = re.compile(
    r"""(?P<call>\bmay\(\s*(["'])[\w-]+\2\s*,\s*(?P<quote>["']))(?P<action>\w+)(?=(?P=quote))"""
)


@dataclass
class CodeUpgrade:
    """Changes of the code of a project. Nothing is written."""

    texts: dict[Path, str] = field(default_factory=dict)
    """New texts of the changed files."""
    changed: list[str] = field(default_factory=list)
    """Lines such as `app/books/api.py:3: old -> new`."""
    remaining: list[str] = field(default_factory=list)
    """Lines that the user has to change."""


def upgrade_code(root: Path) -> CodeUpgrade:
    """Return the changes of a project's code."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*"))]
    files = [path for path in paths if path.suffix in (".py", ".html") and path.is_file() and not path.is_symlink()]
    texts = {file: read_text(file) for file in files}
    code = {file: text for file, text in texts.items() if file.suffix == ".py"}
    upgrade = CodeUpgrade()
    roots = _roots_of(code, root)
    for file, text in texts.items():
        name = file.relative_to(root).as_posix()
        new = _rename(upgrade, name, text, roots) if file in code else _rename_in_template(upgrade, name, text)
        if name == INSTALLED:
            new = _list_features(upgrade, new)
        if new != text:
            upgrade.texts[file] = new
    return upgrade


def _roots_of(code: Mapping[Path, str], root: Path) -> dict[str, str]:
    """Return the classes of the framework that the project's classes extend, by the name of the class."""
    bases: dict[str, set[str]] = {}
    for file, text in code.items():
        tree = read_source(text, file.relative_to(root).as_posix()).tree
        for name, base in _bases_in(tree):
            bases.setdefault(name, set()).add(base)
    roots = {name: name for name in renamed_names.ATTRIBUTES}
    size = 0
    while len(roots) > size:  # each pass adds the classes that extend those of earlier passes
        size = len(roots)
        for name, names in bases.items():
            if known := names & roots.keys():
                roots.setdefault(name, roots[min(known)])
    return roots


def _bases_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield classes and aliases with each of their bases."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name, bases=bases):
                yield from ((name, _name_of_base(base)) for base in bases)
            case ast.Assign([ast.Name(name)], ast.Subscript(ast.Name("Annotated"), ast.Tuple([base, *_]))):
                yield name, _name_of_base(base)  # Books = Annotated[BookCrud, reading(BookCrud)]


def _name_of_base(node: ast.expr) -> str:
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _rename(upgrade: CodeUpgrade, name: str, text: str, roots: Mapping[str, str]) -> str:
    text = _rename_texts(upgrade, name, text, renamed_names.GENERATED_CODE)
    code = RenamedCode(text, roots)
    for _ in range(MAX_PASSES):
        new = code.text
        if new == text:
            break
        upgrade.changed += _lines(name, (change for change in code.changes if change.new is not None))
        text = new
        code = RenamedCode(text, roots)
    upgrade.remaining += _lines(name, code.changes)
    return text


def _lines(name: str, changes: Iterable[Change]) -> list[str]:
    return [f"{name}:{change.line}: {change.description}" for change in changes]


def _rename_in_template(upgrade: CodeUpgrade, name: str, text: str) -> str:
    def rename(match: re.Match[str]) -> str:
        old = match["action"]
        new = renamed_names.ACTIONS.get(old)
        if new is None:
            return match[0]
        line = text.count("\n", 0, match.start()) + 1
        upgrade.changed.append(f'{name}:{line}: "{old}" -> "{new}"')
        return f"{match['call']}{new}"

    if new_name := renamed_names.find_template(name.partition("/")[2]):
        upgrade.remaining.append(f"{name}: rename the file to {new_name}")
    text = _rename_texts(upgrade, name, text, renamed_names.TEMPLATE_ATTRIBUTES)
    return PERMISSION_IN_TEMPLATE.sub(rename, text)


def _rename_texts(upgrade: CodeUpgrade, name: str, text: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        renamed = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", new, text)
        if renamed != text:
            upgrade.changed.append(f"{name}: {old} -> {new}")
            text = renamed
    return text


def _list_features(upgrade: CodeUpgrade, text: str) -> str:
    """List the features that every site of 0.2 had, unless the project already lists one of them."""
    imports = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    listed = {alias.name for node in imports if node.module == FRAMEWORK_FEATURES for alias in node.names}
    built_in, of_admin = renamed_names.BUILT_IN_FEATURES, renamed_names.BUILT_IN_ADMIN_FEATURES
    if not listed or listed.intersection(built_in + of_admin):
        return text
    names = built_in + of_admin if "admin" in listed else built_in
    for name in names:
        text = with_feature(text, name, FRAMEWORK_FEATURES)
        upgrade.changed.append(f"{INSTALLED}: lists the feature {name}")
    return text
