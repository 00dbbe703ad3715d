from pydantic import SecretStr

from opportune.config import BaseSettings
from opportune.contrib.documents import IndexUrl


class PydocsSettings(BaseSettings):
    pydocs_database_url: IndexUrl = SecretStr("")
    """Database of the index of Python's documentation. Default: DATABASE_URL if PostgreSQL, else a file beside it"""
