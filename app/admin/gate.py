"""Who gets into the admin, and in what shape its requests come."""

from typing import Any

from starlette.datastructures import URLPath
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.accounts.current import please_sign_in, user_of
from app.core.web.problems import problem


class SuperusersOnly:
    """Lets nobody else past, whatever the address below: pages, look-ups, exports and addresses that do not exist.

    The user is read afresh for each request, so who is demoted or signed out is out at once.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        user = await user_of(request)
        if user is None:
            raise please_sign_in(request)
        if not user.is_superuser:
            await problem(request, 403, "The admin is for superusers.")(scope, receive, send)
            return
        await self.app(scope, receive, send)


class PathsOnly:
    """Makes every address below a path.

    SQLAdmin writes whole addresses into its pages and redirects. Behind a proxy that ends TLS they would begin with
    http:, which browsers refuse to load or to send forms to.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        hostless = {**scope, "headers": headers, "server": None, "router": _Paths(scope["router"])}
        await self.app(hostless, receive, send)


class _Paths:
    def __init__(self, router: Any) -> None:
        self.router = router

    def url_path_for(self, name: str, /, **parameters: Any) -> URLPath:
        return URLPath(str(self.router.url_path_for(name, **parameters)))


class KeptMessages:
    """Keeps a message that comes while another one still waits for a page to show it.

    SQLAdmin appends to the session's list in place, which the session does not notice and so does not store.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if waiting := scope["session"].get("_messages"):
            scope["session"]["_messages"] = waiting
        await self.app(scope, receive, send)
