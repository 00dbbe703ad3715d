"""Browser sessions as a `Strategy` of FastAPI Users."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.models import Session, User
from opportune.accounts.sessions.lookup import find_by_token, find_impersonator
from opportune.accounts.sessions.service import create_session, delete_session
from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.web.client import Client


class SessionStrategy:
    """Sessions in the database. A deleted session is invalid from the next request on."""

    def __init__(self, settings: Settings, database: Database, session: AsyncSession, client: Client) -> None:
        self.settings = settings
        self.database = database
        self.session = session
        self.client = client

    async def read_token(self, token: str | None, user_manager: Any) -> User | None:
        match = await find_by_token(self.database, Session, token) if token else None
        if match is None:
            return None
        row, user, _permissions = match
        if row.impersonator_session_id is not None and await find_impersonator(self.database, row, user) is None:
            return None
        return user

    async def write_token(self, user: User) -> str:
        return await create_session(self.session, self.settings, user, self.client)

    async def destroy_token(self, token: str, user: User) -> None:
        await delete_session(self.session, token)
