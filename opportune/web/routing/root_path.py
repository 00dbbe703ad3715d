"""Paths below the root path of the application, for rules that depend on them."""

from starlette.types import Scope


def path_below_root(scope: Scope) -> str:
    """Return the path without the prefix at which a proxy serves the application, if it keeps the prefix."""
    path: str = scope["path"]
    root = scope.get("app_root_path", scope.get("root_path", ""))  # without that of a mount, such as the admin's
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path
