from typing import Annotated

from fastapi import Depends, Request

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.models import Session
from opportune.accounts.tokens.bearer import read_bearer_token
from opportune.accounts.two_factor.service import TwoFactorSetup


async def get_two_factor_setup(request: Request, user: CurrentUser, context: AccountCtx) -> TwoFactorSetup:
    here: Session | None = request.state.session
    if here:
        return TwoFactorSetup(context, user, session_id=here.id)
    return TwoFactorSetup(context, user, token=read_bearer_token(request))


TwoFactorDependency = Annotated[TwoFactorSetup, Depends(get_two_factor_setup)]
