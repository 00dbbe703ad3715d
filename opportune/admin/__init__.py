"""The admin at /admin: SQLAdmin with the forms, lists and rights of this framework."""

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
