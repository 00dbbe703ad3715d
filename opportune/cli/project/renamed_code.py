"""Changes of Python files that use names of earlier versions. Comments and formatting stay."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from opportune.cli.project.renamed_declarations import (
    NAMES_IN_OPTIONS,
    Change,
    change_class,
    change_constants,
    change_feature,
    change_variables,
    list_option,
    rename,
)
from opportune.cli.scaffold.source import Source, Span, bound_names, with_imports
from opportune.errors.renamed_names import ACTIONS, IMPORTS, KEYWORDS, find_import, find_module
from opportune.project.layout import FRAMEWORK

PACKAGE = FRAMEWORK.name
DOTTED_NAME = re.compile(rf"{PACKAGE}(\.\w+)+")
MAX_LINE_LENGTH = 120
ACTION_FUNCTIONS = ("add_permission", "grant", "may", "reading", "require", "writing")
"""Functions with an action as an argument."""


class RenamedCode:
    """Names of earlier versions in a Python file.

    Args:
        text: Text of the file. Raises SyntaxError if it cannot be parsed.
        roots: Classes of the framework that the project's classes extend, by the name of the class.
    """

    def __init__(self, text: str, roots: Mapping[str, str]) -> None:
        self.source = Source(text)
        self.roots = roots
        self.other_uses = {*_names_with_other_uses(self.source.tree)}
        self.feature_variables = {*_feature_variables(self.source)}
        self.modules = dict(_imported_modules(self.source.tree))
        self.changes = sorted(dict.fromkeys(self._find()), key=lambda change: change.span.start)

    @property
    def text(self) -> str:
        """The file with the changes that are safe. A call that contains other changes is left for the next pass."""
        result = self.source.bytes
        safe = [change for change in self.changes if change.new is not None]
        imports: set[str] = set()
        for index, change in reversed([*enumerate(safe)]):
            if not any(other.span.start < change.span.end for other in safe[index + 1 :]):
                result = result[: change.span.start] + str(change.new).encode() + result[change.span.end :]
                imports |= change.imports
        return with_imports(result.decode(), {f"{PACKAGE}.feature": imports} if imports else {})

    def _find(self) -> Iterator[Change]:
        for node in ast.walk(self.source.tree):
            match node:
                case ast.ImportFrom(level=0, module=str(module)) if module.partition(".")[0] == PACKAGE:
                    yield from self._change_import_from(node, module)
                case ast.Import():
                    yield from self._change_import(node)
                case ast.Constant(value=str(text)) if DOTTED_NAME.fullmatch(text):
                    if (new := self._moved(text)) != text:
                        yield Change(node.lineno, f"{text} -> {new}", self.source.span(node))
                case ast.ClassDef() if node.name in self.roots:
                    yield from change_class(self.source, node, self.roots[node.name])
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield from change_variables(self.source, node, self.roots)
                case ast.Call():
                    yield from self._change_call(node)
                case ast.Attribute(value=ast.Name(id=name)):
                    yield from self._change_attribute(node, name)

    # Imports

    def _change_import_from(self, node: ast.ImportFrom, module: str) -> Iterator[Change]:
        places = [find_import(module, alias.name) for alias in node.names]
        if places == [(module, alias.name) for alias in node.names]:
            return
        new_names: dict[str, list[str]] = {}
        span = self.source.span(node)
        has_comment = b"#" in self.source.bytes[span.start : span.end]
        for (new_module, new_name), alias in zip(places, node.names, strict=True):
            as_name = alias.asname or self._alias(alias.name, new_name)
            if new_name != alias.name and not (as_name or has_comment):
                yield from self._change_uses(alias.name, new_name)
            new_names.setdefault(new_module, []).append(f"{new_name} as {as_name}" if as_name else new_name)
        code = f"\n{self.source.indent(span.start)}".join(_import_code(*item) for item in new_names.items())
        old = ", ".join(f"{module}.{alias.name}" for alias in node.names)
        new = ", ".join(f"{new_module}.{name}" for new_module, names in new_names.items() for name in names)
        yield Change(node.lineno, f"{old} -> {new}", span, None if has_comment else code)

    def _alias(self, old: str, new: str) -> str:
        """Return the old name if the new one would hide another, or the old one has two meanings; empty otherwise."""
        is_ambiguous = old in self.other_uses or new in bound_names(self.source.tree)
        return old if new != old and is_ambiguous else ""

    def _change_uses(self, old: str, new: str) -> Iterator[Change]:
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.Name) and node.id == old:
                yield Change(node.lineno, f"{old} -> {new}", self.source.span(node), new)

    def _change_import(self, node: ast.Import) -> Iterator[Change]:
        for alias in node.names:
            if (new := find_module(alias.name)) != alias.name:
                # Without an alias, the uses have the old name.
                code = f"{new} as {alias.asname}" if alias.asname else None
                yield Change(node.lineno, f"{alias.name} -> {new}", self.source.span(alias), code)

    def _change_attribute(self, node: ast.Attribute, name: str) -> Iterator[Change]:
        if name in self.feature_variables:
            yield from list_option(self.source, node)
        module = self.modules.get(name, "")
        old = f"{module}:{node.attr}"
        new_module, _, new_name = (IMPORTS.get(old) or _moved_attributes().get(old, "")).partition(":")
        if not new_module:
            return
        if new_module == module:
            yield rename(self.source, node, node.attr, new_name)
        elif find_module(module) == module:  # else the import of the module changes first
            yield Change(node.lineno, f"{ast.unparse(node)} -> {new_module}.{new_name}", self.source.span(node))

    def _moved(self, dotted_name: str) -> str:
        module, _, name = dotted_name.rpartition(".")
        new_module, new_name = find_import(module, name)
        module_as_whole = find_module(dotted_name)
        return module_as_whole if module_as_whole != dotted_name else f"{new_module}.{new_name}"

    # Calls

    def _change_call(self, node: ast.Call) -> Iterator[Change]:
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in ACTION_FUNCTIONS:
            yield from change_constants(self.source, node.args, ACTIONS)
        for keyword in node.keywords:
            if new := KEYWORDS.get(function, {}).get(keyword.arg or ""):
                start = self.source.span(keyword).start
                end = start + len((keyword.arg or "").encode())
                yield Change(keyword.lineno, f"{function}({keyword.arg}=) -> {new}", Span(start, end), new)
            root = "Feature" if keyword.arg == "groups" else self.roots.get(function, "")
            if names := NAMES_IN_OPTIONS.get((root, keyword.arg or "")):
                yield from change_constants(self.source, ast.walk(keyword.value), names)
        if function == "Feature":
            yield from change_feature(self.source, node)


@cache
def _moved_attributes() -> dict[str, str]:
    """Return the new places of names that are attributes of a module under its current name: `llm.Answer`."""
    places = ((old.partition(":"), new) for old, new in IMPORTS.items())
    return {f"{find_module(module)}:{name}": new for (module, _, name), new in places if name}


def _names_with_other_uses(tree: ast.Module) -> Iterator[str]:
    """Yield names of variables, and names in texts such as `"Book | None"` and `__all__`. Imports keep these names."""
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.Constant(value=str(text)) if node not in docstrings:
                yield from re.findall(r"\w+", text)


def _feature_variables(source: Source) -> Iterator[str]:
    """Yield the names of variables for features, also in loops over them."""
    if b"features" in source.bytes:
        yield "feature"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.For | ast.comprehension) and "features" in source.segment(node.iter):
            yield from (name.id for name in ast.walk(node.target) if isinstance(name, ast.Name))


def _imported_modules(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield local names with what they import, which may be a module of the framework."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.asname, alias.name) for alias in node.names if alias.asname)


def _import_code(module: str, names: Sequence[str]) -> str:
    code = f"from {module} import {', '.join(names)}"
    return code if len(code) <= MAX_LINE_LENGTH else f"from {module} import ({', '.join(names)},)"
