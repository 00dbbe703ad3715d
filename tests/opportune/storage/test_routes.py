from urllib.parse import parse_qs, urlsplit

from httpx import AsyncClient

from opportune.storage import Storage

PICTURE = ("photos", "jpg", b"picture", "image/jpeg")
PAGE = ("pages", "html", b"<script>alert(1)</script>", "text/html")


async def test_who_has_the_address_sees_the_file_and_nobody_else(
    storage: Storage, visitor: AsyncClient, storage_kind: str
) -> None:
    address = await storage.url(await storage.save(*PICTURE))
    shown = await visitor.get(address)
    assert (shown.status_code, shown.content) == (200, b"picture")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["cache-control"].startswith("private, max-age=")
    assert (await visitor.get(address.partition("?")[0])).status_code == 403
    another = await storage.save(*PICTURE)
    changed = await visitor.get(address.replace(urlsplit(address).path[-36:], another[-36:]))
    assert changed.status_code == (403 if storage_kind == "folder" else 200), "moto compares no signatures"


async def test_a_file_for_keeping_has_the_name_that_it_came_with(storage: Storage, visitor: AsyncClient) -> None:
    name = await storage.save(*PAGE)
    answer = await visitor.get(await storage.url(name, download_as='Räder; "x"\r\n.html'))
    assert (answer.status_code, answer.content) == (200, PAGE[2])
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''R%C3%A4der%3B%20%22x%22%0D%0A.html"
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_what_is_no_picture_is_never_shown_in_the_browser(storage: Storage, visitor: AsyncClient) -> None:
    answer = await visitor.get(await storage.url(await storage.save(*PAGE)))
    assert answer.headers["content-disposition"] == "attachment"


async def test_an_address_says_how_long_it_works(storage: Storage, storage_kind: str) -> None:
    query = parse_qs(urlsplit(await storage.url(await storage.save(*PICTURE), seconds=60)).query)
    assert ("until" in query) if storage_kind == "folder" else query["X-Amz-Expires"] == ["60"]
