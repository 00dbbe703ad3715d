"""Who may read and who may write the rows of a model."""

from enum import Enum


class Access(Enum):
    ANYONE = "anyone"
    SIGNED_IN = "signed in"
    OWNER = "owner"
    """Whoever is signed in, each with the rows whose `owner` they are."""
    PERMITTED = "permitted"
    """Whom a group grants it, and superusers."""
