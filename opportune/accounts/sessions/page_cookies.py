"""Cookies limited to one path, so that requests for cacheable pages carry no cookie."""

from dataclasses import dataclass

from fastapi import Request, Response

from opportune.config.settings import Settings


@dataclass(frozen=True)
class PageCookie:
    """A cookie for pages below `path`. Browsers also send it for links from other sites (SameSite=Lax)."""

    name: str
    path: str
    lifetime_seconds: int

    def read(self, request: Request) -> str:
        """Return the value, or an empty string if the request has no such cookie."""
        return request.cookies.get(self._browser_name(request.app.state.settings), "")

    def set(self, request: Request, response: Response, value: str) -> None:
        self._set_cookie(request, response, value, self.lifetime_seconds)

    def delete(self, request: Request, response: Response) -> None:
        self._set_cookie(request, response, "", 0)

    def _browser_name(self, settings: Settings) -> str:
        """Return the name with a prefix if the site uses TLS: browsers then refuse the cookie without TLS."""
        return f"__Secure-{self.name}" if settings.has_secure_cookies else self.name

    def _set_cookie(self, request: Request, response: Response, value: str, max_age: int) -> None:
        settings: Settings = request.app.state.settings
        name, secure = self._browser_name(settings), settings.has_secure_cookies
        response.set_cookie(name, value, max_age, path=self.path, secure=secure, httponly=True, samesite="lax")
