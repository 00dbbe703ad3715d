"""What the project says that people see of themselves and change."""

from typing import TYPE_CHECKING

from opportune.accounts import schemas
from opportune.project import users_module

if TYPE_CHECKING:
    from opportune.accounts.schemas import UserRead, UserUpdate
else:
    UserRead, UserUpdate = users_module("schemas").UserRead, users_module("schemas").UserUpdate

PROVED_FIELDS = set(schemas.UserUpdate.model_fields)
"""What is changed in ways of its own; all else that the project's schema takes is stored as it is."""

__all__ = ["PROVED_FIELDS", "UserRead", "UserUpdate"]
