from pydantic import SecretStr

from opportune.config import BaseSettings
from opportune.search import IndexURL


class PydocsSettings(BaseSettings):
    pydocs_database_url: IndexURL = SecretStr("")
    """Where the index of Python's documentation is. Empty: DATABASE_URL if PostgreSQL, else beside its file"""
