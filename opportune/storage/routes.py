"""Serves files to whoever has a signed URL."""

import re
import time
from collections.abc import AsyncIterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from opportune.storage.images import CONTENT_TYPES
from opportune.storage.public_folders import is_public, read_part
from opportune.storage.signed_urls import FILES_PATH, URLSigner
from opportune.storage.storage import Storage, StorageDependency

router = APIRouter(include_in_schema=False)

CONTENT_TYPES_BY_SUFFIX = {suffix: kind for kind, suffix in CONTENT_TYPES.items()}
PUBLIC_SECONDS = 365 * 24 * 60 * 60
"""Seconds for which a public file may be kept: its content never changes."""
PART_BYTES = 512 * 1024
"""Bytes that are read and sent at once."""
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
DEFAULT_CONTENT_TYPE = "application/octet-stream"
INVALID_SIGNATURE = "This address of a file has been changed, or cut short: take the whole of it."
EXPIRED = "This address of a file has ended. Open the page that led here again."


@router.api_route(FILES_PATH + "/{name:path}", methods=["GET", "HEAD"])
async def show(
    request: Request,
    storage: StorageDependency,
    name: str,
    until: Annotated[str, Query(max_length=15)] = "",
    signature: Annotated[str, Query()] = "",
    download_as: Annotated[str, Query(alias="as")] = "",
) -> Response:
    if is_public(name) and not signature:
        return await file_response(request, storage, name, headers(name, "", PUBLIC_SECONDS, is_public=True))
    signer = URLSigner.of(request.app.state.settings)
    if not signer.is_valid(signature, name, until, download_as):
        raise HTTPException(403, INVALID_SIGNATURE)
    left = int(until) - int(time.time())
    if left <= 0:
        raise HTTPException(403, EXPIRED)
    return await file_response(request, storage, name, headers(name, download_as, left))


async def file_response(request: Request, storage: Storage, name: str, headers: dict[str, str]) -> Response:
    """The file, or the part of it that is asked for; nothing where the visitor has it."""
    etag = f'"{name}"'  # what a name stands for never changes
    headers |= {"ETag": etag, "Accept-Ranges": "bytes"}
    first, size = await read_part(storage, name, 0, PART_BYTES)
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, stop, status = 0, size, 200
    if (wanted := RANGE.fullmatch(request.headers.get("range", ""))) and _is_of(request, etag):
        start, stop = _bounds(wanted[1], wanted[2], size)
        if start >= stop:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{size}"
    headers["Content-Length"] = str(stop - start)
    if stop <= len(first) or request.method == "HEAD":
        return Response(first[start:stop], status, headers)
    return StreamingResponse(_parts(storage, name, start, stop), status, headers)


def _is_of(request: Request, etag: str) -> bool:
    return request.headers.get("if-range", etag) == etag


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The bytes of a range from the first to before the second; none where it is none of this file."""
    if first:
        return int(first), min(size, int(last) + 1) if last else size
    return (max(0, size - int(last)), size) if last else (0, 0)


async def _parts(storage: Storage, name: str, start: int, stop: int) -> AsyncIterator[bytes]:
    for at in range(start, stop, PART_BYTES):
        yield (await storage.read_part(name, at, min(stop, at + PART_BYTES)))[0]


def headers(name: str, download_as: str, seconds: int, *, is_public: bool = False) -> dict[str, str]:
    """Headers with which nothing in a file runs, and no shared cache keeps what is not public."""
    kind = CONTENT_TYPES_BY_SUFFIX.get(name.rpartition(".")[2], DEFAULT_CONTENT_TYPE)
    return {
        "Content-Type": kind,
        "Content-Disposition": disposition(kind, download_as),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": f"{'public' if is_public else 'private'}, max-age={seconds}, immutable",
        "Referrer-Policy": "no-referrer",
    }


def disposition(kind: str, download_as: str) -> str:
    """Content-Disposition: only pictures are shown in the browser, unless asked for as a download."""
    if not download_as:
        return "inline" if kind in CONTENT_TYPES else "attachment"
    return f"attachment; filename*=UTF-8''{quote(download_as, safe='', errors='replace')}"
