import threading

import pytest
from PIL import Image

from opportune.storage import images
from opportune.storage.images import ImageRefusedError, check_image, shrink
from tests.opportune.storage.pictures import (
    LYING,
    UPRIGHT,
    bomb,
    camera_exif,
    decoded,
    drawn,
    encoded,
    photo,
    with_archive,
)

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (photo("JPEG"), "image/jpeg"),
        (photo("JPEG", progressive=True), "image/jpeg"),
        (photo("PNG"), "image/png"),
        (photo("WEBP"), "image/webp"),
        (encoded(drawn(mode="P"), "GIF", save_all=True, append_images=[drawn().rotate(90)]), "image/gif"),
        (encoded(drawn(mode="CMYK"), "JPEG"), "image/jpeg"),
        (encoded(drawn(), "MPO", save_all=True, append_images=[drawn()]), "image/jpeg"),
    ],
)
async def test_a_picture_is_known_by_its_content(content: bytes, kind: str) -> None:
    assert await check_image(content) == kind
    assert decoded(await shrink(content, 16)).format == "WEBP"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", images.UNKNOWN),
        (b"\0" * 1000, images.UNKNOWN),
        (b"<html><script>alert(1)</script></html>", images.UNKNOWN),
        (SVG, images.UNKNOWN),
        (b"%PDF-1.7", images.UNKNOWN),
        (encoded(drawn(), "BMP"), images.UNKNOWN),
        (encoded(drawn(), "TIFF"), images.UNKNOWN),
        (photo("JPEG")[:-200], images.DAMAGED),
        (photo("PNG")[:-40], images.DAMAGED),
        (photo("WEBP")[:-40], images.DAMAGED),
        (bomb(4_500), images.TOO_MANY_PIXELS),
        (bomb(60_000), images.TOO_MANY_PIXELS),
        (bomb(2_000), images.DAMAGED),
        (with_archive(photo("JPEG")), images.NOT_ONLY_A_PICTURE),
        (photo("PNG") + b"<SCRIPT>alert(1)</SCRIPT>", images.NOT_ONLY_A_PICTURE),
        (encoded(drawn(mode="P"), "GIF", comment=b"<?php system($_GET[0]) ?>"), images.NOT_ONLY_A_PICTURE),
    ],
)
async def test_what_is_no_picture_or_more_than_one_is_refused_in_one_line(content: bytes, words: str) -> None:
    with pytest.raises(ImageRefusedError) as refusal:
        await check_image(content)
    assert str(refusal.value) == words
    assert "\n" not in words


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_shrunk_picture_is_upright_and_tells_nothing_else(kind: str) -> None:
    small = await shrink(photo(kind), 1024)
    image = decoded(small)
    assert image.size == UPRIGHT
    assert not image.getexif()
    assert not {"exif", "icc_profile", "xmp", "comment"} & image.info.keys()
    assert b"Secret camera" not in small
    (top, bottom) = (image.getpixel((15, y)) for y in (5, 35))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[0] > 200 > bottom[0]
    assert bottom[2] > 200 > top[2]


async def test_no_side_is_longer_than_wanted_and_a_small_picture_is_not_enlarged() -> None:
    assert decoded(await shrink(encoded(drawn((400, 100)), "JPEG"), 100)).size == (100, 25)
    assert decoded(await shrink(encoded(drawn(), "PNG"), 100)).size == LYING


async def test_what_is_transparent_stays_so() -> None:
    image = drawn(mode="RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    for content in (encoded(image, "PNG"), encoded(image.convert("P"), "GIF", transparency=0)):
        assert decoded(await shrink(content)).mode == "RGBA"


async def test_a_picture_of_many_shades_of_grey_keeps_them() -> None:
    pixel = decoded(await shrink(encoded(Image.new("I;16", (8, 8), 0x8000), "PNG"))).getpixel((4, 4))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 0x80) < 4


async def test_a_broken_profile_of_colours_does_not_matter() -> None:
    content = encoded(drawn(), "JPEG", icc_profile=b"no profile")
    assert decoded(await shrink(content)).size == LYING


async def test_every_beginning_of_a_picture_is_refused_or_drawn() -> None:
    content = encoded(drawn((8, 8)), "JPEG", exif=camera_exif())
    for length in range(0, len(content), 7):
        try:
            await shrink(content[:length])
        except ImageRefusedError as refusal:
            assert str(refusal) in (images.UNKNOWN, images.DAMAGED)  # noqa: PT017 - some beginnings can be drawn


async def test_pictures_are_drawn_one_at_a_time_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[int] = set()

    def remember(image: Image.Image, least: int) -> None:
        threads.add(threading.get_ident())
        draw(image, least)

    draw = images._draw
    monkeypatch.setattr(images, "_draw", remember)
    await check_image(photo())
    await shrink(photo())
    assert len(threads - {threading.get_ident()}) == 1
