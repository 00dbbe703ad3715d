"""Values of variables in Python code that is parsed, but not run."""

import ast
from collections.abc import Iterable


def assigned_values(body: Iterable[ast.stmt]) -> dict[str, ast.expr]:
    """Return the values of `name = value` and `name: type = value` in a module or a class. The last one counts."""
    values: dict[str, ast.expr] = {}
    for statement in body:
        match statement:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, ast.expr() as value):
                values[name] = value
    return values
