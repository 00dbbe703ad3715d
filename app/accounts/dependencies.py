from typing import Annotated

from fastapi import Depends

from app.accounts.manager import UserManager
from app.core.db.session import WriteSession


async def get_manager(session: WriteSession) -> UserManager:
    return UserManager(session)


Manager = Annotated[UserManager, Depends(get_manager)]
