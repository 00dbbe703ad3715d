from urllib.parse import parse_qs, urlsplit

from httpx import AsyncClient

from opportune.storage import Storage
from opportune.storage.public_folders import declare_folder, public_url

PICTURE = ("photos", "jpg", b"picture", "image/jpeg")
PAGE = ("pages", "html", b"<script>alert(1)</script>", "text/html")


async def test_file_needs_its_signed_url(storage: Storage, visitor: AsyncClient, storage_kind: str) -> None:
    address = await storage.url(await storage.save(*PICTURE))
    shown = await visitor.get(address)
    assert (shown.status_code, shown.content) == (200, b"picture")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["cache-control"].startswith("private, max-age=")
    assert (await visitor.get(address.partition("?")[0])).status_code == 403
    another = await storage.save(*PICTURE)
    changed = await visitor.get(address.replace(urlsplit(address).path[-36:], another[-36:]))
    assert changed.status_code == (200 if storage_kind == "bucket" else 403), "moto does not check signatures"


async def test_other_file_is_a_download(storage: Storage, visitor: AsyncClient) -> None:
    name = await storage.save(*PAGE)
    response = await visitor.get(await storage.url(name, download_as='Räder; "x"\r\n.html'))
    assert (response.status_code, response.content) == (200, PAGE[2])
    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''R%C3%A4der%3B%20%22x%22%0D%0A.html"
    assert response.headers["content-type"] == "application/octet-stream"

    response = await visitor.get(await storage.url(await storage.save(*PAGE)))
    assert response.headers["content-disposition"] == "attachment"


async def test_url_states_its_expiry(storage: Storage, storage_kind: str) -> None:
    query = parse_qs(urlsplit(await storage.url(await storage.save(*PICTURE), seconds=60)).query)
    assert query["X-Amz-Expires"] == ["60"] if storage_kind == "bucket" else "until" in query


async def test_large_file_is_served_whole_and_in_ranges(storage: Storage, visitor: AsyncClient) -> None:
    declare_folder("films", (), is_public=True)
    content = bytes(range(251)) * 4_300
    address = public_url(await storage.save("films", "bin", content, "application/octet-stream"))
    full_response = await visitor.get(address)
    assert (full_response.status_code, full_response.content == content) == (200, True)
    assert (full_response.headers["accept-ranges"], full_response.headers["content-length"]) == (
        "bytes",
        str(len(content)),
    )
    etag = full_response.headers["etag"]
    assert (await visitor.get(address, headers={"If-None-Match": etag})).status_code == 304
    head = await visitor.head(address)
    assert (head.headers["content-length"], head.content) == (str(len(content)), b"")
    for requested, start, stop in (
        ("bytes=0-9", 0, 10),
        ("bytes=65530-1060000", 65_530, 1_060_001),
        ("bytes=1079290-9999999", 1_079_290, len(content)),
        ("bytes=-5", len(content) - 5, len(content)),
    ):
        part = await visitor.get(address, headers={"Range": requested, "If-Range": etag})
        assert (part.status_code, part.content == content[start:stop]) == (206, True), requested
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(content)}"
    beyond = await visitor.get(address, headers={"Range": "bytes=9999999-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    for headers in ({"Range": "lines=1-2"}, {"Range": "bytes=0-9", "If-Range": '"another"'}):
        assert (await visitor.get(address, headers=headers)).status_code == 200
    await storage.delete(address.removeprefix("/files/"))
    assert (await visitor.get(address, headers={"If-None-Match": etag})).status_code == 404
