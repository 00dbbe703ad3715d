"""Where somebody is signed in, and the tokens of their programs."""

from fastapi import APIRouter

router = APIRouter()
