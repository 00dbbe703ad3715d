"""URLs used by the project, found by parsing its source, so that two features do not share one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from opportune.project.layout import PACKAGE

FRAMEWORK_PATHS = {"accounts", "admin", "api", "docs", "files", "health", "mailbox", "static"}
FILES = ("pages.py", "api.py", "feature.py")


def path_error(project: Path, path: str) -> str:
    """Return an error message if pages cannot use this URL; empty if they can."""
    if not re.fullmatch(r"/[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)*", path):
        return f"{path!r} is not an address. Use lowercase letters, digits and hyphens: --path /books."
    first = path.split("/")[1]
    if first in FRAMEWORK_PATHS:
        return f"The framework uses the address /{first}. Choose another with --path."
    for file in sorted(file for name in FILES for file in project.glob(f"{PACKAGE}/*/{name}")):
        if path in _addresses_in(file):
            name = file.relative_to(project).as_posix()
            return f"{name} already uses the address {path}. Choose another with --path."
    return ""


def _addresses_in(file: Path) -> Iterator[str]:
    """Yield the prefixes of routers and pages, or the routes of a router without prefix."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:  # reported when the module is imported
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    prefixes = [keyword.value for call in calls for keyword in call.keywords if keyword.arg == "prefix"]
    # BookPages(Books, "/books")
    pages = [call.args[1] for call in calls if len(call.args) > 1 and isinstance(call.func, ast.Name)]
    # @router.get("/books"), which is below the prefix if there is one
    routes = [call.args[0] for call in calls if call.args and isinstance(call.func, ast.Attribute)]
    for node in (*pages, *(prefixes or routes)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/"):
            yield node.value
