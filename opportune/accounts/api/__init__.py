"""Accounts for programs, below /api/v1."""

from fastapi import APIRouter

from opportune.accounts.api import by_mail, devices, me, signing_in, two_factor

router = APIRouter()
for part in (signing_in, by_mail, me, devices, two_factor):
    router.routes += part.router.routes  # `include_router` would analyse each of them once more
