"""Files under /static/: the project's own, and those that installed wheels bring (Tabler, htmx, Swagger UI).

`asset("site.css")` gives `/static/site.css?v=<hash of its content>`. With the right hash a file may be kept for a year;
without it (a font named inside a style sheet) browsers ask again and mostly get 304.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import stat
from functools import lru_cache
from pathlib import Path
from time import monotonic

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from app.core.settings import PROJECT

URL = "/static"
WHEELS = [("sqladmin", "statics"), ("django_htmx", "static"), ("fastapi_offline", "static")]
COMPRESSIBLE = {".css", ".js", ".svg", ".html", ".json", ".txt", ".map"}
FOR_A_YEAR = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"
LOOK_AGAIN = 1
"""Seconds until a changed file has another address."""


class Assets(StaticFiles):
    """Starlette's static files, with a version in the address and compression. One name space for all folders."""

    def __init__(self, folder: Path = PROJECT / "static") -> None:
        super().__init__(directory=folder, packages=list(WHEELS))
        self._urls: dict[str, tuple[float, str]] = {}

    def url(self, name: str) -> str:
        """The address of a file, with the hash of its content.

        Raises:
            FileNotFoundError: no folder has this file.
        """
        known = self._urls.get(name)
        if known is None or known[0] < monotonic():
            # A page names many files, and looking for them takes longer than the rest of it.
            known = self._urls[name] = monotonic() + LOOK_AGAIN, self._url(name)
        return known[1]

    def _url(self, name: str) -> str:
        path, status = self.lookup_path(name)
        if status is None:
            raise FileNotFoundError(f"static file {name}")
        return f"{URL}/{name}?v={_digest(path, status.st_mtime_ns)}"

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(status_code=405, headers={"Allow": "GET, HEAD"})
        try:
            full_path, status = await asyncio.to_thread(self.lookup_path, path)
        except (OSError, ValueError):  # a name that no file can have
            raise HTTPException(status_code=404) from None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise HTTPException(status_code=404)
        digest = await asyncio.to_thread(_digest, full_path, status.st_mtime_ns)
        headers = Headers(scope=scope)
        versioned = QueryParams(scope["query_string"]).get("v") == digest
        answer = {
            "Cache-Control": FOR_A_YEAR if versioned else ASK_AGAIN,
            "Vary": "Accept-Encoding",
            "ETag": f'"{digest}"',
        }
        if f'"{digest}"' in headers.get("if-none-match", ""):
            return NotModifiedResponse(Headers(answer))
        media_type = mimetypes.guess_type(full_path)[0] or "application/octet-stream"
        if Path(full_path).suffix in COMPRESSIBLE and "gzip" in headers.get("accept-encoding", ""):
            body = await asyncio.to_thread(_compressed, full_path, digest)
            return Response(body, media_type=media_type, headers={**answer, "Content-Encoding": "gzip"})
        return FileResponse(full_path, stat_result=status, media_type=media_type, headers=answer)


@lru_cache(maxsize=512)
def _digest(path: str, _modified: int) -> str:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=8).hexdigest()


@lru_cache(maxsize=64)
def _compressed(path: str, _digest: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), mtime=0)


assets = Assets()
