"""The admin at /admin: SQLAdmin with the forms, lists and rights of this framework."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opportune.admin.accounts.users import UserAdmin
    from opportune.admin.errors import ValidationRefused
    from opportune.admin.forms.admin_form import AdminForm
    from opportune.admin.forms.inlines import Inline
    from opportune.admin.lists.actions import selection_query
    from opportune.admin.persistence.transactions import session_of
    from opportune.admin.views import AdminView
    from opportune.fields import FileColumn, ImageColumn

__all__ = [
    "AdminForm",
    "AdminView",
    "FileColumn",
    "ImageColumn",
    "Inline",
    "UserAdmin",
    "ValidationRefused",
    "selection_query",
    "session_of",
]

_MODULES = {
    "AdminForm": "opportune.admin.forms.admin_form",
    "AdminView": "opportune.admin.views",
    "FileColumn": "opportune.fields",
    "ImageColumn": "opportune.fields",
    "Inline": "opportune.admin.forms.inlines",
    "UserAdmin": "opportune.admin.accounts.users",
    "ValidationRefused": "opportune.admin.errors",
    "selection_query": "opportune.admin.lists.actions",
    "session_of": "opportune.admin.persistence.transactions",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: the start of a site needs the admin's address alone."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
