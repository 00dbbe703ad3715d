"""Feature that serves files by signed URLs, and public files."""

import re
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from opportune.feature import Feature, Site
from opportune.i18n import gettext_lazy as _l
from opportune.services.clock import clock
from opportune.storage.images import CONTENT_TYPES
from opportune.storage.public_folders import is_public, read_part
from opportune.storage.storage import FILES_PATH, Storage, StorageDependency, UrlSigner
from opportune.web.routing.api_router import APIRouter

router = APIRouter(include_in_schema=False)

CONTENT_TYPES_BY_SUFFIX = {suffix: content_type for content_type, suffix in CONTENT_TYPES.items()}
PUBLIC_SECONDS = 365 * 24 * 60 * 60
"""How long a public file may be cached. Its content never changes."""
PART_BYTES = 512 * 1024
"""Bytes per read."""
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
INVALID_SIGNATURE = _l("This link to a file is incomplete or was changed. Copy the whole link.")
EXPIRED = _l("This link to a file has expired. Open the page with the link again.")


@router.api_route(FILES_PATH + "/{name:path}", methods=["GET", "HEAD"])
async def show_file(
    request: Request,
    storage: StorageDependency,
    name: str,
    until: Annotated[str, Query(max_length=15)] = "",
    signature: Annotated[str, Query()] = "",
    download_as: Annotated[str, Query(alias="as")] = "",
) -> Response:
    if is_public(name) and not signature:
        return await file_response(request, storage, name, file_headers(name, "", PUBLIC_SECONDS, is_public=True))
    signer = UrlSigner.of(request.app.state.settings)
    if not signer.is_valid(signature, name, until, download_as):
        raise HTTPException(403, INVALID_SIGNATURE)
    seconds_left = int(until) - int(clock.now())
    if seconds_left <= 0:
        raise HTTPException(403, EXPIRED)
    return await file_response(request, storage, name, file_headers(name, download_as, seconds_left))


async def file_response(request: Request, storage: Storage, name: str, headers: dict[str, str]) -> Response:
    """Return the file, the requested range, or 304 if the client has the file."""
    etag = f'"{name}"'  # the content of a name never changes
    headers |= {"ETag": etag, "Accept-Ranges": "bytes"}
    first_part, size = await read_part(storage, name, 0, PART_BYTES)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    requested = _requested_range(request, etag, size)
    status = 200 if requested is None else 206
    sent = range(size) if requested is None else requested
    if requested is not None:
        if not requested:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {requested.start}-{requested.stop - 1}/{size}"
    headers["Content-Length"] = str(len(sent))
    if sent.stop <= len(first_part) or request.method == "HEAD":
        return Response(first_part[sent.start : sent.stop], status, headers)
    return StreamingResponse(_read_parts(storage, name, sent), status, headers)


def _requested_range(request: Request, etag: str, size: int) -> range | None:
    """Return the positions of the bytes in `Range: bytes=first-last`, or None for the whole file.

    A range without `first` is the end of the file. An invalid range is empty.
    """
    match = RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if first:
        return range(int(first), min(size, int(last) + 1) if last else size)
    return range(max(0, size - int(last)), size) if last else range(0)


async def _read_parts(storage: Storage, name: str, positions: range) -> AsyncIterator[bytes]:
    for start in positions[::PART_BYTES]:
        part, _ = await storage.read_part(name, start, min(positions.stop, start + PART_BYTES))
        yield part


def file_headers(name: str, download_as: str, seconds: int, *, is_public: bool = False) -> dict[str, str]:
    """Return headers that block scripts in the file and keep private files out of shared caches."""
    content_type = CONTENT_TYPES_BY_SUFFIX.get(name.rpartition(".")[2], "application/octet-stream")
    return {
        "Content-Type": content_type,
        "Content-Disposition": content_disposition(content_type, download_as),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": f"{'public' if is_public else 'private'}, max-age={seconds}, immutable",
        "Referrer-Policy": "no-referrer",
    }


def content_disposition(content_type: str, download_as: str) -> str:
    """Return the Content-Disposition. Only images without `download_as` are shown inline."""
    if not download_as:
        return "inline" if content_type in CONTENT_TYPES else "attachment"
    return f"attachment; filename*=UTF-8''{quote(download_as, safe='', errors='replace')}"


storage = Feature("storage", "Uploaded files and their signed URLs.", site=Site(routes=router))
