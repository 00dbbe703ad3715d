"""Second factor of the current user, for pages and API."""

from typing import Annotated

from fastapi import Depends

from opportune.accounts.dependencies import AccountCtx, CurrentUser
from opportune.accounts.flows.two_factor import TwoFactorSetup


async def get_two_factor_setup(user: CurrentUser, context: AccountCtx) -> TwoFactorSetup:
    return TwoFactorSetup(context, user)


TwoFactorDependency = Annotated[TwoFactorSetup, Depends(get_two_factor_setup)]
