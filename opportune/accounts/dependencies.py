from typing import Annotated

from fastapi import Depends

from opportune.accounts.manager import UserManager
from opportune.db.sessions.dependencies import WriteSession


async def get_user_manager(session: WriteSession) -> UserManager:
    return UserManager(session)


UserManagerDependency = Annotated[UserManager, Depends(get_user_manager)]
