"""Dependency of the routes that change the second factor."""

from typing import Annotated

from fastapi import Depends, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.models import ApiToken, Session
from opportune.accounts.reauthentication.service import is_confirmed
from opportune.accounts.two_factor.service import TwoFactorSetup


async def get_two_factor_setup(request: Request, user: CurrentUser, context: AccountCtx) -> TwoFactorSetup:
    session: Session | None = request.state.session
    if session:
        return TwoFactorSetup(context, user, session_id=session.id, is_confirmed=is_confirmed(session, user))
    token: ApiToken | None = request.state.token
    return TwoFactorSetup(context, user, token_id=token.id if token else None)


TwoFactorDependency = Annotated[TwoFactorSetup, Depends(get_two_factor_setup)]
