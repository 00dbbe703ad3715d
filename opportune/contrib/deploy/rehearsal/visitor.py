"""Minimal browser, which loads pages and sends forms with its own cookies."""

import ssl
from io import BytesIO
from pathlib import Path
from urllib.parse import urljoin

import httpx2

from opportune.contrib.deploy.rehearsal.html_page import HtmlForm, Page

TIMEOUT_SECONDS = 30.0


class Visitor:
    """HTTP client of the public site with its own address and cookies."""

    def __init__(self, base_url: str, certificate: Path, address: str = "127.0.0.1") -> None:
        self.base_url = base_url
        self.address = address
        tls_context = ssl.create_default_context(cafile=str(certificate))
        self.client = httpx2.AsyncClient(
            base_url=base_url,
            transport=httpx2.AsyncHTTPTransport(verify=tls_context, local_address=address, retries=0),
            follow_redirects=True,
            timeout=TIMEOUT_SECONDS,
            headers={"Accept": "text/html", "User-Agent": "Rehearsal"},
        )

    async def __aenter__(self) -> "Visitor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, path: str) -> Page:
        return Page.from_response(await self.client.get(path))

    async def submit(self, page: Page, form: HtmlForm, *, with_picture: bool = False, **values: str) -> Page:
        """Submit a form with its current values, replaced by `values`, and perhaps with a picture in its file field."""
        files = {form.file_field: ("rehearsal.png", create_picture(), "image/png")} if with_picture else None
        data: dict[str, list[str]] = {}
        for control in form.controls:
            if control.type_ != "file":
                data.setdefault(control.name, []).extend(control.values_to_send)
        data |= {name: [value] for name, value in values.items()}
        url = urljoin(page.url, form.action)
        headers = {"Origin": self.base_url}
        return Page.from_response(await self.client.post(url, data=data, files=files, headers=headers))


def create_picture() -> bytes:
    """Return a small PNG image."""
    from PIL import Image

    content = BytesIO()
    Image.new("RGB", (64, 64), "red").save(content, "PNG")
    return content.getvalue()
