"""Files under /static/ of the project, the framework and wheels (Tabler, htmx, Swagger UI), the icon sheet and bundles.

`asset("site.css")` returns `/static/site.css?v=<hash of the content>`. Browsers cache a URL with the current hash for a
year, and revalidate others. URLs in style sheets also get a hash.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import re
import stat
from collections.abc import Iterable
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

from opportune.project.current import HAS_PROJECT
from opportune.project.feature_packages import feature_packages
from opportune.project.layout import FRAMEWORK, replacements
from opportune.web.middleware.compression import accepts_gzip
from opportune.web.static import icons, styles, typeface
from opportune.web.static.generated import draw_logo, is_script_texts, primary_colour, script_texts

STATIC_URL = "/static" if HAS_PROJECT else "/static/opportune"  # an existing application may have its own /static
ICONS_FILE = "icons.css"
LOGO_FILE = "icon.svg"
FRAMEWORK_LOGO = str(FRAMEWORK / "static" / LOGO_FILE)
PACKAGES = [
    *[("opportune", "static"), ("sqladmin", "statics"), ("django_htmx", "static"), ("fastapi_offline", "static")],
    ("jazzy_tabler", "static/vendor/tabler"),
]
TABLER, TABLER_RTL = "css/tabler.min.css", "css/tabler.rtl.min.css"
TABLER_SHEETS = {"ltr": TABLER, "rtl": TABLER_RTL}
TYPEFACE_SHEET = "typeface.css"
PAGES_SHEETS = {"ltr": "pages.css", "rtl": "pages.rtl.css"}
"""Joined style sheet of all pages in a language of this direction."""
_LOOK = (ICONS_FILE, "contrast.css", "look.css", "motion.css", TYPEFACE_SHEET, "colours.css")
_ADMIN = (*_LOOK, "admin.css", "admin-views.css", "admin-layout.css")
BUNDLES = {
    PAGES_SHEETS["ltr"]: (TABLER, *_LOOK, "site.css"),
    PAGES_SHEETS["rtl"]: (TABLER_RTL, *_LOOK, "site.css"),
    "admin-pages.css": (TABLER, *_ADMIN),
    "admin-pages.rtl.css": (TABLER_RTL, *_ADMIN),
    "admin-pages.js": ("admin.js", "admin-forms.js", "admin-columns.js", "site.js"),
}
"""Files that pages load in one request. Each of them may be replaced by the project."""
COMPRESSIBLE = {".css", ".js", ".svg", ".html", ".json", ".txt", ".map"}
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "public, no-cache"
CHECK_INTERVAL_SECONDS = 1
"""Seconds until a changed file has a new URL in development. A deployment restarts production."""
PRODUCTION_CHECK_INTERVAL_SECONDS = 60
NO_URL = (0.0, 0, "")
"""Cached URL that has expired."""
RELATIVE_URL = re.compile(rb"""(url\(\s*["']?)(?!data:|[a-z]+:|/|#)([^"')?#]+)(?:\?[^"')#]*)?""")
"""Relative URLs in style sheets."""


class Assets(StaticFiles):
    """Starlette's static files with versioned URLs and compression. All folders share one namespace."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(directory=folder or replacements("static"), packages=list(PACKAGES), check_dir=False)
        self.config_checked = True  # git keeps no empty folder, so the project's may be missing
        self.all_directories[1:1] = [Path(package) / "static" for package in feature_packages().values()]
        self.all_directories.append(typeface.folder())
        self.site_name = ""
        """Name in the generated logo."""
        self.check_interval = CHECK_INTERVAL_SECONDS
        self._urls: dict[str, tuple[float, int, str]] = {}
        """Time of expiry, edition of the generated sheets, and URL of each file."""
        self._prepared_count = 0
        """Number of Tabler's sheets whose used rules are selected."""
        self._digests: dict[str, tuple[int, str]] = {}
        """Modification time and hash of each file."""
        self._compressed: dict[str, tuple[str, bytes]] = {}
        """Hash and compressed content of each file."""

    def url(self, name: str) -> str:
        """Return the URL of a file, with the hash of its content.

        Raises:
            FileNotFoundError: The file does not exist in any folder.
        """
        edition = icons.added_count() + (self._prepared_count if name in BUNDLES else 0)
        # Cached, because pages link many files, and searching the folders takes longer than rendering the page.
        expires_at, url_edition, url = self._urls.get(name, NO_URL)
        if expires_at < monotonic() or url_edition != edition:
            url = f"{STATIC_URL}/{name}?v={self._digest(name)}"
            self._urls[name] = (monotonic() + self.check_interval, edition, url)
        return url

    def hash_files(self, directions: Iterable[str] = ()) -> None:
        """Hash all style sheets and scripts, which would otherwise block the event loop for up to 5 ms per page.

        Args:
            directions: Directions of the site's languages, whose sheets are joined.
        """
        for folder in self.all_directories:
            for path in Path(folder).rglob("*.[cj]s*"):
                with suppress(OSError):  # a broken link or a deleted file
                    self._digest(path.relative_to(folder).as_posix())
        with suppress(OSError):
            for direction in directions:
                self.url(PAGES_SHEETS[direction])

    def prepare_styles(self, directions: Iterable[str], *, sources_change: bool = False) -> None:
        """Prepare the selection of Tabler's rules, without which bundles have all of them.

        Args:
            directions: Directions of the site's languages.
            sources_change: Whether templates and scripts may change while this process runs.
        """
        for direction in directions:
            path, status = self._file(TABLER_SHEETS[direction])
            styles.prepare(path, status.st_mtime_ns, sources_change=sources_change)
            self._prepared_count += 1  # URLs of the whole sheets would be valid for a minute

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(status_code=405, headers={"Allow": "GET, HEAD"})
        try:
            digest = await asyncio.to_thread(self._digest, path)
        except (OSError, ValueError):  # an invalid file name
            raise HTTPException(status_code=404) from None
        headers = Headers(scope=scope)
        is_versioned = QueryParams(scope["query_string"]).get("v") == digest
        is_text = Path(path).suffix in COMPRESSIBLE
        is_compressed = is_text and accepts_gzip(headers.get("accept-encoding", ""))
        etag = f'"{digest}-gzip"' if is_compressed else f'"{digest}"'
        file_headers = {"Cache-Control": IMMUTABLE if is_versioned else REVALIDATE, "ETag": etag}
        if is_text:
            file_headers["Vary"] = "Accept-Encoding"
        if etag in headers.get("if-none-match", ""):
            return NotModifiedResponse(Headers(file_headers))
        media_type = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if is_compressed:
            body = await asyncio.to_thread(self._gzip, path, digest)
            return Response(body, media_type=media_type, headers={**file_headers, "Content-Encoding": "gzip"})
        if is_text:
            return Response(await asyncio.to_thread(self.content, path), media_type=media_type, headers=file_headers)
        full_path, status = await asyncio.to_thread(self._file, path)
        return FileResponse(full_path, stat_result=status, media_type=media_type, headers=file_headers)

    def _digest(self, name: str) -> str:
        is_generated = self._is_generated(name)
        modified = 0 if is_generated else self._file(name)[1].st_mtime_ns
        hashed, digest = self._digests.get(name, (0, ""))
        if is_generated or hashed != modified:
            digest = hashlib.blake2b(self.content(name), digest_size=8).hexdigest()
            self._digests[name] = (modified, digest)
        return digest

    def _file(self, name: str) -> tuple[str, stat_result]:
        path, status = self.lookup_path(name)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise FileNotFoundError(f"static file {name}")
        return path, status

    def content(self, name: str) -> bytes:
        if name in BUNDLES:
            return b"\n".join(self._part(part) for part in BUNDLES[name])
        if is_script_texts(name):
            return script_texts(name)
        if self._is_generated(name):
            return icons.style_sheet() if name == ICONS_FILE else draw_logo(self.site_name, self.primary_colour())
        return self._with_versions(name, Path(self._file(name)[0]).read_bytes())

    def _part(self, name: str) -> bytes:
        """Return a file of a bundle: only the used rules of Tabler, unless the project has its own sheet."""
        if name == TYPEFACE_SHEET and not typeface.is_ready():
            return b""
        if name not in TABLER_SHEETS.values():
            return self.content(name)
        path, status = self._file(name)
        is_of_project = Path(path).is_relative_to(self.all_directories[0])
        rules = None if is_of_project else styles.used_rules(path, status.st_mtime_ns)
        return self.content(name) if rules is None else self._with_versions(name, rules.encode())

    def _with_versions(self, name: str, content: bytes) -> bytes:
        if not name.endswith(".css"):
            return content
        return RELATIVE_URL.sub(lambda match: match[1] + self._versioned_url(name, match[2].decode()).encode(), content)

    def _is_generated(self, name: str) -> bool:
        is_logo = name == LOGO_FILE and self.lookup_path(name)[0] == FRAMEWORK_LOGO
        return is_logo or name == ICONS_FILE or name in BUNDLES or is_script_texts(name)

    def primary_colour(self) -> str:
        """Return the colour in `colours.css`, for files and e-mails that cannot use its variables."""
        return primary_colour(self.content("colours.css").decode())

    def _versioned_url(self, sheet: str, name: str) -> str:
        """Return the versioned URL of a file in a style sheet, or the unchanged URL if it does not exist."""
        try:
            return self.url(normpath(join(dirname(sheet), name)))
        except (OSError, ValueError):
            return name

    def _gzip(self, name: str, digest: str) -> bytes:
        """Compress a file once and keep the result in memory, because many hosts have no writable disk."""
        compressed_digest, content = self._compressed.get(name, ("", b""))
        if compressed_digest != digest:
            content = gzip.compress(self.content(name), mtime=0)
            self._compressed[name] = (digest, content)
        return content


assets = Assets()
