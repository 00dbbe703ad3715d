"""Accounts for programs, below /api/v1."""

from fastapi import APIRouter

from app.accounts.api import by_mail, devices, me, signing_in, two_factor

router = APIRouter(tags=["accounts"])
for part in (signing_in, by_mail, me, devices, two_factor):
    router.include_router(part.router)
