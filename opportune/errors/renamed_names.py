"""Names until 0.2 and their replacements, for error messages and for `oppman.py upgrade`."""

from collections.abc import Mapping

ACTIONS = {"details": "get", "edit": "update"}
"""Actions in permissions. SQLAdmin still has the old names."""
CRUD = {
    "owner": "owner_column",
    "find": "list",
    "rows": "list_values",
    "row": "get_values",
    "written": "get_written",
    "add": "create",
    "change": "update",
}
CRUD_API = {"find": "list", "add": "create", "read": "get"}
CRUD_PAGES = {
    "index": "list",
    "detail": "get",
    "new": "create_form",
    "edit": "update_form",
    "confirm_delete": "delete_form",
    "detail_context": "get_context",
}
PAGES_WITHOUT = {"index": "list", "detail": "get", "new": "create", "edit": "update", "confirm_delete": "delete_form"}
"""Routes that `without` of `CrudPages` leaves out."""
CRUD_TEMPLATES = {"detail": "get", "confirm_delete": "delete"}
"""Ends of template names, such as `books/book_detail.html`, and names in the folder `crud`."""
EXPORTS = {"opportune.db": {"before_change": "before_update", "after_change": "after_update"}}


def renamed_to(name: str, names: Mapping[str, str]) -> str:
    """Return ` It is called update now.` for the end of an error message; empty if the name was not replaced."""
    return f" It is called {names[name]} now." if name in names else ""
