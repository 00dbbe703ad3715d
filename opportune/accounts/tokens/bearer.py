"""The header that programs send their token in."""

from fastapi.security import OAuth2PasswordBearer
from starlette.requests import HTTPConnection

AUTHENTICATE_HEADER = {"WWW-Authenticate": "Bearer"}

# For the OpenAPI page: without it no address there shows that it wants a token.
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/api/v1/auth/login", auto_error=False)


def read_bearer_token(request: HTTPConnection) -> str | None:
    """The token that came with a request, or None if the request shows none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
