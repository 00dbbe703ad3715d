"""The addresses that the project answers, read from its text, to keep two features from taking one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from opportune.config.project import PACKAGE

OF_FRAMEWORK = {"accounts", "admin", "api", "files", "health", "mailbox", "static"}
FILES = ("pages.py", "api.py", "feature.py")


def address_error(project: Path, path: str) -> str:
    """Return why pages cannot be at this address; empty if they can."""
    if not re.fullmatch(r"/[a-z][a-z0-9-]*(/[a-z][a-z0-9-]*)*", path):
        return f"{path!r} is no address for pages: small letters, digits and -, as in --path /books."
    first = path.split("/")[1]
    if first in OF_FRAMEWORK:
        return f"The address /{first} is one of the framework's: choose another by --path."
    for file in sorted(file for name in FILES for file in project.glob(f"{PACKAGE}/*/{name}")):
        if path in _addresses_in(file):
            return f"{file.relative_to(project).as_posix()} has the address {path} already: choose another by --path."
    return ""


def _addresses_in(file: Path) -> Iterator[str]:
    """Yield prefixes of routers and pages, and the routes of a router without a prefix."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:  # whoever calls it next hears of that
        return
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    prefixes = [each.value for call in calls for each in call.keywords if each.arg == "prefix"]
    second = [call.args[1] for call in calls if len(call.args) > 1 and isinstance(call.func, ast.Name)]
    first = [call.args[0] for call in calls if call.args and isinstance(call.func, ast.Attribute)]
    for node in (*prefixes, *second, *(() if prefixes else first)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/"):
            yield node.value
