"""The first superuser, by a link from the log."""

from fastapi import APIRouter

router = APIRouter()
