from datetime import datetime

from sqlmodel import Field

from opportune.db.models.model import ModelBase


class CacheRow(ModelBase, table=True):
    """A cache entry, the version of a tag, or the claim of a build."""

    __tablename__ = "database_cache_row"

    key: str = Field(max_length=64, primary_key=True)
    """Hash of everything that the value depends on."""
    value: bytes
    expires_at: datetime = Field(index=True)
