"""The pages of accounts, all of which work without JavaScript."""

from fastapi import APIRouter

from app.accounts.pages import devices, profile, registering, setup, signing_in, two_factor

router = APIRouter(prefix="/accounts")
for part in (signing_in, registering, two_factor, profile, devices, setup):
    router.include_router(part.router)
