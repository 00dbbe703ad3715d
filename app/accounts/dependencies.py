from typing import Annotated

from fastapi import Depends, Request

from app.accounts.manager import UserManager
from app.core.db.session import WriteSession


async def get_manager(request: Request, session: WriteSession) -> UserManager:
    return UserManager(session, request.app.state.settings)


Manager = Annotated[UserManager, Depends(get_manager)]
