"""The pages of accounts, all of which work without JavaScript."""

from fastapi import APIRouter

from opportune.accounts.pages import (
    data,
    devices,
    password,
    profile,
    registering,
    resetting,
    setup,
    signing_in,
    two_factor,
)

router = APIRouter()
for part in (signing_in, registering, resetting, two_factor, profile, password, devices, data, setup):
    router.routes += part.router.routes  # `include_router` would analyse each of them once more
