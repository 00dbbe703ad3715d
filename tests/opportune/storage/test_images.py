"""Checked and shrunk images."""

import pytest
from fastapi import FastAPI, Request
from httpx2 import AsyncClient
from PIL import Image

from opportune.storage import images
from opportune.storage.images import ImageRefusedError, check_image, shrink
from tests.opportune.storage.pictures import (
    UPRIGHT,
    camera_exif,
    decode_image,
    decompression_bomb,
    draw_image,
    encode_image,
    photo,
    with_archive,
)

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (photo("JPEG"), "image/jpeg"),
        (photo("PNG"), "image/png"),
        (photo("WEBP"), "image/webp"),
        (
            encode_image(draw_image(mode="P"), "GIF", save_all=True, append_images=[draw_image().rotate(90)]),
            "image/gif",
        ),
        (encode_image(draw_image(mode="CMYK"), "JPEG"), "image/jpeg"),
        (encode_image(draw_image(), "MPO", save_all=True, append_images=[draw_image()]), "image/jpeg"),
    ],
)
async def test_image_is_recognized_by_its_content(content: bytes, content_type: str) -> None:
    assert await check_image(content) == content_type
    assert decode_image(await shrink(content, 16)).format == "WEBP"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", images.UNKNOWN),
        (b"<html><script>alert(1)</script></html>", images.UNKNOWN),
        (SVG, images.UNKNOWN),
        (encode_image(draw_image(), "TIFF"), images.UNKNOWN),
        (photo("JPEG")[:-200], images.DAMAGED),
        (decompression_bomb(60_000), images.TOO_MANY_PIXELS),
        (decompression_bomb(2_000), images.DAMAGED),
        (with_archive(photo("JPEG")), images.NOT_ONLY_A_PICTURE),
        (photo("PNG") + b"<SCRIPT>alert(1)</SCRIPT>", images.NOT_ONLY_A_PICTURE),
        (encode_image(draw_image(mode="P"), "GIF", comment=b"<?php system($_GET[0]) ?>"), images.NOT_ONLY_A_PICTURE),
    ],
)
async def test_invalid_image_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ImageRefusedError) as refusal:
        await check_image(content)
    assert str(refusal.value) == message
    assert "\n" not in message


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
async def test_shrunk_image_is_upright_without_metadata(format_: str) -> None:
    small = await shrink(photo(format_), 1024)
    image = decode_image(small)
    assert image.size == UPRIGHT
    assert not image.getexif()
    assert not {"exif", "icc_profile", "xmp", "comment"} & image.info.keys()
    assert b"Secret camera" not in small
    (top, bottom) = (image.getpixel((15, y)) for y in (5, 35))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > bottom[0]
    assert bottom[2] > 200 > top[2]


async def test_transparency_is_kept() -> None:
    image = draw_image(mode="RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    for content in (encode_image(image, "PNG"), encode_image(image.convert("P"), "GIF", transparency=0)):
        assert decode_image(await shrink(content)).mode == "RGBA"


async def test_truncated_image_is_refused_or_decoded() -> None:
    content = encode_image(draw_image((8, 8)), "JPEG", exif=camera_exif())
    for length in range(0, len(content), 7):
        try:
            await shrink(content[:length])
        except ImageRefusedError as refusal:
            assert str(refusal) in (images.UNKNOWN, images.DAMAGED)  # noqa: PT017 - some truncated images can be decoded


async def test_route_with_an_invalid_image_responds_with_the_reason(app: FastAPI, client: AsyncClient) -> None:
    @app.post("/api/shrunk")
    async def shrink_body(request: Request) -> int:
        return len(await shrink(await request.body(), largest=64))

    response = await client.post("/api/shrunk", content=SVG)
    assert (response.status_code, response.json()["detail"]) == (422, images.UNKNOWN)
