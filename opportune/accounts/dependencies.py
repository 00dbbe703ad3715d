from typing import Annotated

from fastapi import Depends

from opportune.accounts.manager import UserManager
from opportune.db.sessions.dependencies import WriteSession


async def get_manager(session: WriteSession) -> UserManager:
    return UserManager(session)


Manager = Annotated[UserManager, Depends(get_manager)]
