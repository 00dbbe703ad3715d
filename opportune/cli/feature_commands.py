"""Commands of a feature and their lines of help, read from the text of its `commands.py`."""

import ast
from collections.abc import Iterator


def commands_in(feature: str, file: str) -> dict[str, str]:
    """Return the one-line helps by command: the first line of the file, or of each subcommand's docstring."""
    module = _parse(file)
    subcommands = {f"{feature} {name}": _first_line(node) for name, node in _subcommands(module)}
    return subcommands or {feature: _first_line(module)}


def repeated_commands(file: str) -> Iterator[str]:
    """Yield one line for each subcommand that the file defines twice."""
    lines: dict[str, int] = {}
    for name, node in _subcommands(_parse(file)):
        if name in lines:
            yield f"the command {name} is defined twice, in lines {lines[name]} and {node.lineno}. Rename one."
        lines[name] = node.lineno


def _parse(file: str) -> ast.Module:
    """Return the syntax tree of the file, empty if it cannot be parsed. Calling the command reports the error."""
    try:
        with open(file, "rb") as source:
            return ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _subcommands(module: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            yield from ((name, node) for name in _names_of(node))


def _names_of(node: ast.FunctionDef) -> Iterator[str]:
    """Yield the name under which `@command.command()` adds the function."""
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "command.command":
            names = [*call.args, *(word.value for word in call.keywords if word.arg == "name")]
            name = names[0].value if names and isinstance(names[0], ast.Constant) else None
            yield str(name or node.name.lower().replace("_", "-"))


def _first_line(node: ast.FunctionDef | ast.Module) -> str:
    return (ast.get_docstring(node, clean=False) or "").strip().partition("\n")[0]
