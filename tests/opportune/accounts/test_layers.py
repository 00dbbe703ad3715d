"""Layers of the accounts: services do not use HTTP objects."""

import ast
from collections.abc import Iterator
from pathlib import Path

from opportune.project.layout import PROJECT

ACCOUNTS = PROJECT / "opportune/accounts"
HTTP_MODULES = {
    *("admin", "pages", "api", "dependencies", "responses", "passkey_requests", "reauthentication", "setup"),
    *("backends", "cookies", "kept_forms", "manager", "openapi", "permissions", "scopes", "request_credentials"),
    *("request_rules", "sign_in_redirects", "two_factor_dependency", "visitors"),
}
"""Modules and packages that handle requests or routes, and those with FastAPI Users' signatures."""


def parse_modules(*folders: Path, word: str) -> Iterator[tuple[Path, ast.Module]]:
    """Parse the files that contain the word, because parsing all of them is slow."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if word in (text := path.read_text()):
                yield path, ast.parse(text)


def list_imports(tree: ast.Module) -> set[str]:
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name.partition(".")[0] for name in names}


def test_services_and_models_do_not_import_http() -> None:
    importing = {
        path.relative_to(ACCOUNTS).as_posix()
        for word in ("fastapi", "starlette")
        for path, tree in parse_modules(ACCOUNTS, word=word)
        if not {path.stem, path.parent.name} & HTTP_MODULES and word in list_imports(tree)
    }
    assert importing == set()
