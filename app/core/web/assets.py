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


class Assets(StaticFiles):
    """Starlette's static files, with a version in the address and compression. One name space for all folders."""

    def __init__(self, folder: Path = PROJECT / "static") -> None:
        super().__init__(directory=folder, packages=list(WHEELS))
        self._paths: dict[str, Path] = {}

    def url(self, name: str) -> str:
        """The address of a file, with the hash of its content.

        Raises:
            FileNotFoundError: no folder has this file.
        """
        path = self._paths.get(name) or self._find(name)
        return f"{URL}/{name}?v={_digest(path, path.stat().st_mtime_ns)}"

    def _find(self, name: str) -> Path:
        """Where the file is: a search of all folders, and a page names many files."""
        path, status = self.lookup_path(name)
        if status is None:
            raise FileNotFoundError(f"static file {name}")
        found = self._paths[name] = Path(path)
        return found

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(status_code=405, headers={"Allow": "GET, HEAD"})
        try:
            full_path, status = await asyncio.to_thread(self.lookup_path, path)
        except (OSError, ValueError):  # a name that no file can have
            raise HTTPException(status_code=404) from None
        if status is None or not stat.S_ISREG(status.st_mode):
            raise HTTPException(status_code=404)
        digest = await asyncio.to_thread(_digest, Path(full_path), status.st_mtime_ns)
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
def _digest(path: Path, _modified: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()


@lru_cache(maxsize=64)
def _compressed(path: str, _digest: str) -> bytes:
    return gzip.compress(Path(path).read_bytes(), mtime=0)


assets = Assets()
