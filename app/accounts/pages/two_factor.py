"""The second factor: an authenticator app, and codes to recover."""

from fastapi import APIRouter

router = APIRouter()
