"""FastAPI Users without what takes longest to import: its Redis strategy, and its routes for OAuth, which bring httpx.

Whoever imports FastAPI Users before this, or a release of it that has no such parts, gets it whole. PyJWT, which takes
cryptography and its 9 MB along, is imported when FastAPI Users first uses it: sessions of browsers do not.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

LEFT_OUT = ("fastapi_users.authentication.strategy.redis", "httpx_oauth")


class _PyJWT(ModuleType):
    """What FastAPI Users has under that name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("jwt"), name)


is_first = "fastapi_users" not in sys.modules
absent: dict[str, Any] = {}
if is_first:  # None is Python's own way to say that there is none, which FastAPI Users is prepared for
    absent = {name: None for name in LEFT_OUT if name not in sys.modules}
if "jwt" not in sys.modules:
    absent["jwt"] = _PyJWT("jwt")
sys.modules |= absent
try:
    from fastapi_users import BaseUserManager, InvalidID, InvalidPasswordException, exceptions
    from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
    from fastapi_users.db import BaseUserDatabase
    from fastapi_users.jwt import generate_jwt
finally:
    for name in absent:
        del sys.modules[name]  # for everybody else, who gets the real ones

__all__ = [
    "AuthenticationBackend",
    "BaseUserDatabase",
    "BaseUserManager",
    "BearerTransport",
    "CookieTransport",
    "InvalidID",
    "InvalidPasswordException",
    "JWTStrategy",
    "exceptions",
    "generate_jwt",
]
