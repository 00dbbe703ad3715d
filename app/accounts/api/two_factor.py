"""The second factor."""

from fastapi import APIRouter

router = APIRouter(prefix="/users/me")
