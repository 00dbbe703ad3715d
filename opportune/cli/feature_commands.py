"""The commands of a feature and their lines of help, read from the text of its `commands.py`."""

import ast
from collections.abc import Iterator


def commands_in(feature: str, file: str) -> dict[str, str]:
    """One command has the feature's name and the file's first line; of several each has its docstring's."""
    try:
        with open(file, "rb") as source:
            module = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):  # whoever calls it hears of that
        return {feature: ""}
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    several = {f"{feature} {name}": _first_line(node) for node in functions for name in _names_given(node)}
    return several or {feature: _first_line(module)}


def _names_given(node: ast.FunctionDef) -> Iterator[str]:
    """The name under which `@command.command()` adds the function."""
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "command.command":
            names = [*call.args, *(word.value for word in call.keywords if word.arg == "name")]
            given = names[0].value if names and isinstance(names[0], ast.Constant) else None
            yield str(given or node.name.lower().replace("_", "-"))


def _first_line(node: ast.FunctionDef | ast.Module) -> str:
    return (ast.get_docstring(node, clean=False) or "").strip().partition("\n")[0]
