"""Permissions for reading and writing the rows of a model."""

from enum import Enum


class Permission(Enum):
    """Users who may read or write the rows of a model, for `read_permission` and `write_permission` of a `Crud`."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    OWNER = "owner"
    """The user or the members of the team in the `owner_column` or `team_column` of a row."""
    OWNER_OR_PERMITTED = "owner or permitted"
    """Owners may do everything with their rows, and members of groups with the permission with all rows."""
    PERMITTED = "permitted"
    """Members of groups with the permission, and superusers."""

    @property
    def depends_on_groups(self) -> bool:
        return self in (Permission.PERMITTED, Permission.OWNER_OR_PERMITTED)
