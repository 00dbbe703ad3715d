"""Files under /static/: the project's own, the framework's, those of wheels (Tabler, htmx, Swagger UI), and the icons.

`asset("site.css")` gives `/static/site.css?v=<hash of its content>`. With the right hash a file may be kept for a year;
without it browsers ask again and mostly get 304. What a style sheet names has its hash, too.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import re
import stat
from contextlib import suppress
from os import stat_result
from pathlib import Path
from posixpath import dirname, join, normpath
from time import monotonic

from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

from opportune.config.project import PROJECT
from opportune.web.middleware.compression import takes_gzip
from opportune.web.rendering import icons

STATIC_URL = "/static"
ICONS_FILE = "icons.css"
PACKAGES = [("opportune", "static"), ("sqladmin", "statics"), ("django_htmx", "static"), ("fastapi_offline", "static")]
COMPRESSIBLE = {".css", ".js", ".svg", ".html", ".json", ".txt", ".map"}
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "public, no-cache"
CHECK_INTERVAL_SECONDS = 1
"""Seconds until a changed file has another address."""
BESIDE = re.compile(rb"""(url\(\s*["']?)(?!data:|[a-z]+:|/|#)([^"')?#]+)(?:\?[^"')#]*)?""")
"""What a style sheet names beside itself."""


class Assets(StaticFiles):
    """Starlette's static files, with a version in the address and compression. One name space for all folders."""

    def __init__(self, folder: Path = PROJECT / "static") -> None:
        super().__init__(directory=folder, packages=list(PACKAGES), check_dir=False)
        self._urls: dict[str, tuple[float, str]] = {}
        self._digests: dict[str, tuple[int, str]] = {}
        self._compressed: dict[str, tuple[str, bytes]] = {}

    def url(self, name: str) -> str:
        """The address of a file, with the hash of its content.

        Raises:
            FileNotFoundError: no folder has this file.
        """
        known = self._urls.get(name)
        if known is None or known[0] < monotonic():
            # A page names many files, and looking for them takes longer than the rest of it.
            known = self._urls[name] = (
                monotonic() + CHECK_INTERVAL_SECONDS,
                f"{STATIC_URL}/{name}?v={self._digest(name)}",
            )
        return known[1]

    def hash_files(self) -> None:
        """Hash all style sheets and scripts, so that pages need not do it on the event loop (up to 5 ms a page)."""
        for folder in self.all_directories:
            for path in Path(folder).rglob("*.[cj]s*"):
                with suppress(OSError):  # a link that leads nowhere, or a file that has gone since
                    self._digest(path.relative_to(folder).as_posix())

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(status_code=405, headers={"Allow": "GET, HEAD"})
        try:
            digest = await asyncio.to_thread(self._digest, path)
        except (OSError, ValueError):  # a name that no file can have
            raise HTTPException(status_code=404) from None
        headers = Headers(scope=scope)
        versioned = QueryParams(scope["query_string"]).get("v") == digest
        is_text = Path(path).suffix in COMPRESSIBLE
        compressed = is_text and takes_gzip(headers.get("accept-encoding", ""))
        answer = {
            "Cache-Control": IMMUTABLE if versioned else REVALIDATE,
            "ETag": f'"{digest}-gzip"' if compressed else f'"{digest}"',
            **({"Vary": "Accept-Encoding"} if is_text else {}),
        }
        if answer["ETag"] in headers.get("if-none-match", ""):
            return NotModifiedResponse(Headers(answer))
        media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if compressed:
            body = await asyncio.to_thread(self._gzip, path, digest)
            return Response(body, media_type=media_type, headers={**answer, "Content-Encoding": "gzip"})
        if is_text:
            return Response(await asyncio.to_thread(self.content, path), media_type=media_type, headers=answer)
        full_path, status = await asyncio.to_thread(self._file, path)
        return FileResponse(full_path, stat_result=status, media_type=media_type, headers=answer)

    def _digest(self, name: str) -> str:
        modified = 0 if name == ICONS_FILE else self._file(name)[1].st_mtime_ns
        known = self._digests.get(name)
        if name == ICONS_FILE or known is None or known[0] != modified:
            digest = hashlib.blake2b(self.content(name), digest_size=8).hexdigest()
            known = self._digests[name] = modified, digest
        return known[1]

    def _file(self, name: str) -> tuple[str, stat_result]:
        path, status = self.lookup_path(name)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"static file {name}")
        return path, status

    def content(self, name: str) -> bytes:
        if name == ICONS_FILE:
            return icons.sheet()
        content = Path(self._file(name)[0]).read_bytes()
        if not name.endswith(".css"):
            return content
        return BESIDE.sub(lambda found: found[1] + self._beside(name, found[2].decode()).encode(), content)

    def _beside(self, sheet: str, name: str) -> str:
        """The address of what a style sheet names; as it is where there is no such file."""
        try:
            return self.url(normpath(join(dirname(sheet), name)))
        except (OSError, ValueError):
            return name

    def _gzip(self, name: str, digest: str) -> bytes:
        """Made when it is first asked for, and kept in memory: many hosts have no disk to write on."""
        known = self._compressed.get(name)
        if known is None or known[0] != digest:
            known = self._compressed[name] = digest, gzip.compress(self.content(name), mtime=0)
        return known[1]


assets = Assets()
