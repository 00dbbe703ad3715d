"""Sessions and tokens."""

from fastapi import APIRouter

router = APIRouter(prefix="/users/me")
