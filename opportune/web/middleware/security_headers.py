"""Security headers of every response, including files, streams, refused requests and crashes."""

from starlette.types import Scope

from opportune.config.settings import Settings
from opportune.storage.location import Bucket, parse_storage_url
from opportune.web.routing.root_path import path_below_root

CONTENT_SECURITY_POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
INLINE_STYLE_FOLDERS = ("/admin/", "/api/docs/")
"""Folders whose pages may have style attributes, which libraries set. Inline scripts are refused as on other pages."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
REVALIDATE = b"private, no-cache"
CREDENTIAL_HEADERS = {b"cookie", b"authorization"}
HSTS_HEADER = (b"strict-transport-security", b"max-age=31536000")

Header = tuple[bytes, bytes]


def security_headers(
    *, inline_styles: bool = False, image_origin: str = "", in_own_frames: bool = False
) -> tuple[Header, ...]:
    """Return the security headers of a page.

    Args:
        inline_styles: Allow style attributes.
        image_origin: Another origin whose images the page shows, such as that of a bucket.
        in_own_frames: Allow pages of this site to show the page in a frame.
    """
    policy = dict(CONTENT_SECURITY_POLICY)
    headers = dict(SECURITY_HEADERS)
    if inline_styles:
        policy["style-src"] += " 'unsafe-inline'"
    if image_origin:
        policy["img-src"] += f" {image_origin}"
    if in_own_frames:
        policy["frame-ancestors"] = "'self'"
        headers["X-Frame-Options"] = "SAMEORIGIN"
    headers["Content-Security-Policy"] = "; ".join(f"{name} {value}" for name, value in policy.items())
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


SECURITY_HEADER_NAMES = {name for name, _ in security_headers()}


class SecurityHeaders:
    """Security headers of a site, built once from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.is_production = settings.is_production
        self.base_url = settings.base_url
        location = parse_storage_url(settings)
        origin = location.origin if isinstance(location, Bucket) else ""  # browsers load images from the bucket
        self.strict = security_headers(image_origin=origin)
        self.with_inline_styles = security_headers(image_origin=origin, inline_styles=True)

    def add_missing(self, headers: list[Header], scope: Scope) -> None:
        """Add the headers that the response to this request does not set."""
        present = dict(headers)
        path = path_below_root(scope)
        required = self.with_inline_styles if f"{path}/".startswith(INLINE_STYLE_FOLDERS) else self.strict
        if SECURITY_HEADER_NAMES.isdisjoint(present):
            headers += required
        else:
            headers += [header for header in required if header[0] not in present]
        if b"cache-control" not in present and not path.startswith("/static/"):
            is_file = b"etag" in present  # such as of a front end: the same for all users
            headers.append((b"cache-control", REVALIDATE if is_file else _cache_control(scope)))
        # A proxy may end TLS, so BASE_URL decides before the request.
        is_on_tls = (self.base_url.partition(":")[0] or scope["scheme"]) == "https"
        if self.is_production and is_on_tls and HSTS_HEADER[0] not in present:
            headers.append(HSTS_HEADER)


def _cache_control(scope: Scope) -> bytes:
    """Keep pages of a user out of shared caches, and out of the browser's history after signing out."""
    return REVALIDATE if CREDENTIAL_HEADERS.isdisjoint(dict(scope["headers"])) else b"no-store"
