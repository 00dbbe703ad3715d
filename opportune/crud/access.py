"""Access levels for reading and writing the rows of a model."""

from enum import Enum


class Access(Enum):
    """Access to the rows of a model, for `read_access` and `write_access` of a `Crud`."""

    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    OWNER = "owner"
    """Signed-in users, each for the rows whose `owner` they are."""
    PERMITTED = "permitted"
    """Members of groups with the grant, and superusers."""
