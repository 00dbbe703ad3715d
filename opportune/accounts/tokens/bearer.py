"""The Authorization header of programs."""

from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

AUTHENTICATE_HEADER = {"WWW-Authenticate": "Bearer"}

# Marks the operations that accept a token in the OpenAPI document.
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


def read_bearer_token(request: HTTPConnection) -> str | None:
    """Return the bearer token of a request, or None."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
