"""Serves files to whoever has a signed URL."""

import time
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request, Response

from opportune.storage.images import CONTENT_TYPES
from opportune.storage.public_folders import is_public, read_file
from opportune.storage.signed_urls import FILES_PATH, URLSigner
from opportune.storage.storage import StorageDependency

router = APIRouter(include_in_schema=False)

CONTENT_TYPES_BY_SUFFIX = {suffix: kind for kind, suffix in CONTENT_TYPES.items()}
PUBLIC_SECONDS = 365 * 24 * 60 * 60
"""Seconds for which a public file may be kept: its content never changes."""
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
        return Response(await read_file(storage, name), headers=headers(name, "", PUBLIC_SECONDS, is_public=True))
    signer = URLSigner.of(request.app.state.settings)
    if not signer.is_valid(signature, name, until, download_as):
        raise HTTPException(403, INVALID_SIGNATURE)
    left = int(until) - int(time.time())
    if left <= 0:
        raise HTTPException(403, EXPIRED)
    return Response(await read_file(storage, name), headers=headers(name, download_as, left))


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
