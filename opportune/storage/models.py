"""Tables of files for STORAGE_URL=database:. They belong to the feature jobs, which every site has."""

from datetime import datetime

from sqlmodel import Field

from opportune.db.clock import utc_now
from opportune.db.models.model import Model, ModelBase


class StoredFile(Model, table=True):
    """A file in the database. Its content is in pieces."""

    __tablename__ = "jobs_file"

    name: str = Field(max_length=200, unique=True)
    size_bytes: int
    created_at: datetime = Field(default_factory=utc_now)

    def __str__(self) -> str:
        return self.name


class StoredPiece(ModelBase, table=True):
    """A piece of a file. All pieces but the last have the same length, so a range needs only its pieces."""

    __tablename__ = "jobs_file_piece"

    file_id: int = Field(foreign_key="jobs_file.id", ondelete="CASCADE", primary_key=True)
    position: int = Field(primary_key=True)
    content: bytes
