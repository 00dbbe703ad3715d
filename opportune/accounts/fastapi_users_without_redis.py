"""FastAPI Users without its Redis strategy: importing `redis.asyncio`, which the cache brings, takes longest.

Whoever imports FastAPI Users before this, or a release of it that has no such module, gets it whole.
"""

import sys

REDIS_STRATEGY = "fastapi_users.authentication.strategy.redis"

is_first = "fastapi_users" not in sys.modules
if is_first:  # Python's own way to say that there is none, which FastAPI Users is prepared for
    sys.modules[REDIS_STRATEGY] = None  # type: ignore[assignment]
try:
    from fastapi_users import BaseUserManager, InvalidID, InvalidPasswordException, exceptions
    from fastapi_users.authentication import AuthenticationBackend, BearerTransport, CookieTransport, JWTStrategy
    from fastapi_users.db import BaseUserDatabase
    from fastapi_users.jwt import generate_jwt
finally:
    if is_first:
        del sys.modules[REDIS_STRATEGY]

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
