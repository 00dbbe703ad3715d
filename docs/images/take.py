"""Takes the pictures of the documentation and of the start page.

Start the site of a fresh clone, and keep what it prints. When `pydocs status` shows an index, run the script with the
site's URL and the password:

    DEBUG=false python3 oppman.py quickstart --no-input --email ada@example.com | tee quickstart.log
    PYTHONPATH=. .venv/bin/python docs/images/take.py http://127.0.0.1:8000 PASSWORD quickstart.log
"""

import sys
from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from opportune.testing.services.browser import CHROMIUM

FOLDER = Path(__file__).parent
VIEW_FOLDER = FOLDER.parents[1] / "static/presentation"
SIZE = {"width": 1280, "height": 750}
PAGES = {"home": "/", "admin": "/admin", "chat": "/chat"}
VIEWS = {"admin": "/admin/event/list", "conversation": "/chat", "list": "/todos"}
"""Pictures of the start page, in both themes: static/presentation."""
VIEW_SIZE = {"width": 1280, "height": 800}
STRIP = """
<style>
  body {{ display: grid; grid-template-columns: 1fr 1fr; gap: 16px; width: 1360px; margin: 0; padding: 16px;
    background: #e8edf3 }}
  img, pre {{ box-sizing: border-box; width: 672px; height: 394px; margin: 0; border-radius: 8px;
    box-shadow: 0 1px 4px #0004 }}
  pre {{ padding: 20px; overflow: hidden; background: #1b2430; color: #dce3ea; font: 14px/1.7 monospace }}
</style>
<pre>{terminal}</pre>{images}
"""
"""The first minute: the terminal, and three pages."""


def main(site: str, password: str, log: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page(viewport=SIZE, base_url=site)
        page.goto("/accounts/login")
        page.fill("[name=email]", "ada@example.com")
        page.fill("[name=password]", password)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "login" not in url)
        shots = {name: take(page, path) for name, path in PAGES.items()}
        for name in ("admin", "chat"):
            save(name, shots[name])
        save("pydocs", take(page, "/pydocs?q=asyncio.gather"))
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of its literals
            page.set_viewport_size(VIEW_SIZE)  # type: ignore[arg-type]  # a mapping with its keys
            for name, path in VIEWS.items():
                save_view(f"{name}-{theme}", take(page, path))
        output, _, _ = Path(log).read_text(encoding="utf-8").replace(password, "…").partition("\nListening on ")
        terminal = "$ python3 oppman.py quickstart\n…" + output[output.rindex("... OK") + len("... OK") :]
        images = (f'<img src="data:image/png;base64,{b64encode(shot).decode()}">' for shot in shots.values())
        strip = browser.new_page(viewport=SIZE)
        strip.set_content(STRIP.format(terminal=escape(terminal), images="".join(images)))
        save("first-minute", strip.locator("body").screenshot())


def take(page: Page, path: str) -> bytes:
    """Return the picture of a page. The chat is opened at its oldest conversation, which has code."""
    page.goto(path)
    if path == "/chat":
        page.locator("a.chat-link").last.click()
    page.wait_for_load_state("networkidle")
    page.evaluate("scrollTo(0, 0)")
    return page.screenshot()


def save(name: str, shot: bytes) -> None:
    """Store a picture with 128 colours, which is a third of its size."""
    with Image.open(BytesIO(shot)) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(FOLDER / f"{name}.png", optimize=True)


def save_view(name: str, shot: bytes) -> None:
    """Store a picture of the start page as WebP, with three quarters and with half of its width."""
    with Image.open(BytesIO(shot)) as image:
        VIEW_FOLDER.mkdir(exist_ok=True)
        for suffix, size, quality in (("", (960, 600), 60), ("-small", (640, 400), 50)):
            image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(
                VIEW_FOLDER / f"{name}{suffix}.webp", quality=quality, method=6
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
