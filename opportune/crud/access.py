"""Access levels for reading and writing the rows of a model."""

from enum import Enum


class Access(Enum):
    """Access to the rows of a model, for `read_access` and `write_access` of a `Crud`."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    OWNER = "owner"
    """The user or the members of the team in the `owner` column of a row."""
    PERMITTED = "permitted"
    """Members of groups with the grant, and superusers."""
