"""The admin at /admin: SQLAdmin with the forms, lists and permissions of this framework."""

from typing import TYPE_CHECKING

from opportune.runtime.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from opportune.admin.accounts.users import UserAdmin
    from opportune.admin.errors import ValidationRefused
    from opportune.admin.forms.admin_form import AdminForm
    from opportune.admin.forms.inlines import Inline
    from opportune.admin.lists.actions import selection_query
    from opportune.admin.persistence.transactions import session_of
    from opportune.admin.row_versions.service import restore_version, versions
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
    "restore_version",
    "selection_query",
    "session_of",
    "versions",
]

__getattr__ = lazy_exports(
    __name__,
    {
        ".forms.admin_form": ("AdminForm",),
        ".views": ("AdminView",),
        "opportune.fields": ("FileColumn", "ImageColumn"),
        ".forms.inlines": ("Inline",),
        ".accounts.users": ("UserAdmin",),
        ".errors": ("ValidationRefused",),
        ".lists.actions": ("selection_query",),
        ".row_versions.service": ("restore_version", "versions"),
        ".persistence.transactions": ("session_of",),
    },
)
