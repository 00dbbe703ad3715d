"""Access levels for reading and writing the rows of a model."""

from enum import Enum


class Access(Enum):
    """Access to the rows of a model, for `read_access` and `write_access` of a `Crud`."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    OWNER = "owner"
    """The user or the members of the team in the `owner_column` or `team_column` of a row."""
    OWNER_OR_PERMITTED = "owner or permitted"
    """Owners may do everything with their rows, and members of groups with the permission with all rows."""
    PERMITTED = "permitted"
    """Members of groups with the grant, and superusers."""

    @property
    def uses_grants(self) -> bool:
        return self in (Access.PERMITTED, Access.OWNER_OR_PERMITTED)
