"""What the layout by subject promises: services know no HTTP, and a transaction is the route's to end."""

import ast
from collections.abc import Iterator
from pathlib import Path

from opportune.config.project import PROJECT

ACCOUNTS = PROJECT / "opportune/accounts"

KNOW_HTTP = {
    *("pages", "api", "dependencies", "responses", "passkey_requests"),
    *("cookies", "page_cookies", "trusted_devices", "second_step", "bearer", "permissions", "invitation", "openapi"),
    *("manager", "backends"),
}
"""Routes, what reads or answers a request for them, and FastAPI Users' signatures, in which there is one."""


def modules(*folders: Path, word: str) -> Iterator[tuple[Path, ast.Module]]:
    """Those that have the word somewhere: to read the others would take longer."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if word in (text := path.read_text()):
                yield path, ast.parse(text)


def imports(tree: ast.Module) -> set[str]:
    """The first parts of the names of what is imported."""
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name.partition(".")[0] for name in names}


def commits(tree: ast.Module) -> Iterator[str]:
    """The names of functions that commit."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            called = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
            if any(isinstance(each, ast.Attribute) and each.attr == "commit" for each in called):
                yield function.name


def test_below_the_routes_of_accounts_nothing_knows_a_request() -> None:
    knowing = {
        path.relative_to(ACCOUNTS).as_posix()
        for word in ("fastapi", "starlette")
        for path, tree in modules(ACCOUNTS, word=word)
        if path.stem not in KNOW_HTTP and word in imports(tree)
    }
    assert knowing == set()


def test_no_service_commits_but_by_the_one_function_that_says_so() -> None:
    everything = modules(ACCOUNTS, PROJECT / "app", word="commit")
    found = [(path.stem, name) for path, tree in everything for name in commits(tree)]
    assert found == [("manager", "release")]
