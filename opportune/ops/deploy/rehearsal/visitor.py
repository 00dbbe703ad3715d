"""A person before a browser, as far as HTTP tells: pages, links, forms as their HTML says, cookies."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

TIMEOUT_SECONDS = 30.0


@dataclass
class Field:
    """A control of a form."""

    name: str
    kind: str
    value: str = ""
    is_required: bool = False
    options: list[str] = field(default_factory=list)

    @property
    def filled(self) -> str:
        """What stands in it, or what a person might write."""
        if self.value or self.kind in ("hidden", "file"):
            return self.value
        if self.options:
            return next(filter(None, self.options), "") if self.is_required else ""
        if not self.is_required:
            return ""
        now = {"date": f"{date.today()}", "datetime-local": f"{date.today()}T12:00", "time": "12:00"}  # noqa: DTZ011 - any
        texts = {"email": "rehearsal@example.com", "number": "1", "url": "https://example.com", **now}
        return texts.get(self.kind, "Rehearsal")


@dataclass
class HTMLForm:
    """A form of a page."""

    action: str
    method: str
    is_multipart: bool
    fields: list[Field] = field(default_factory=list)

    @property
    def file_field(self) -> str:
        """The name of its first field for a file, or nothing."""
        return next((each.name for each in self.fields if each.kind == "file"), "")

    def has(self, *names: str) -> bool:
        return {each.name for each in self.fields}.issuperset(names)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HTMLForm] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.words: list[str] = []
        self._select: Field | None = None
        self._textarea: Field | None = None
        self._is_in_form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "img" and "src" in given:
            self.images.append(given["src"])
        elif tag == "form":
            multipart = given.get("enctype") == "multipart/form-data"
            self.forms.append(HTMLForm(given.get("action", ""), given.get("method", "get").lower(), multipart))
            self._is_in_form = True
        elif tag == "option" and self._select is not None:
            self._select.options.append(given.get("value", ""))
            if "selected" in given:
                self._select.value = given.get("value", "")
        elif self._is_in_form and given.get("name") and "disabled" not in given:
            self._control(tag, given)

    def _control(self, tag: str, given: Mapping[str, str]) -> None:
        kind = given.get("type", "text") if tag == "input" else tag
        is_left_out = tag not in ("input", "select", "textarea") or kind in ("submit", "button", "image", "reset")
        if is_left_out or (kind in ("checkbox", "radio") and "checked" not in given):
            return
        new = Field(given["name"], kind, given.get("value", "" if kind != "checkbox" else "on"), "required" in given)
        self.forms[-1].fields.append(new)
        self._select = new if tag == "select" else self._select
        self._textarea = new if tag == "textarea" else self._textarea

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_in_form = False
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._textarea = None

    def handle_data(self, data: str) -> None:
        if self._textarea is not None:
            self._textarea.value += data.removeprefix("\n")
        elif data.strip():
            self.words.append(data.strip())


@dataclass(frozen=True)
class Page:
    """An answer that a browser would show."""

    status: int
    url: str
    html: str
    forms: list[HTMLForm]
    links: list[str]
    images: list[str]
    words: str
    """Its text without its tags."""

    @classmethod
    def of(cls, response: httpx.Response) -> "Page":
        reader = _Reader()
        reader.feed(response.text)
        url = str(response.url)
        links, images = ([urljoin(url, each) for each in found] for found in (reader.links, reader.images))
        return cls(response.status_code, url, response.text, reader.forms, links, images, " ".join(reader.words))

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form_with(self, *names: str) -> HTMLForm | None:
        """The first form that is sent by POST and has these fields."""
        return next((form for form in self.forms if form.method == "post" and form.has(*names)), None)

    def form_to(self, path: str) -> HTMLForm | None:
        """The first form that is sent by POST to that path."""
        paths = ((form, urlsplit(urljoin(self.url, form.action)).path) for form in self.forms if form.method == "post")
        return next((form for form, action in paths if action == path), None)


class Visitor:
    """Visits the site by its public address, from an address of their own, and keeps cookies."""

    def __init__(self, base_url: str, certificate: Path, address: str = "127.0.0.1") -> None:
        self.base_url, self.address = base_url, address
        transport = httpx.AsyncHTTPTransport(
            verify=ssl.create_default_context(cafile=str(certificate)), local_address=address, retries=0
        )
        self.client = httpx.AsyncClient(
            base_url=base_url,
            transport=transport,
            follow_redirects=True,
            timeout=TIMEOUT_SECONDS,
            headers={"Accept": "text/html", "User-Agent": "Rehearsal"},
        )

    async def __aenter__(self) -> "Visitor":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def get(self, path: str) -> Page:
        return Page.of(await self.client.get(path))

    async def submit(self, page: Page, form: HTMLForm, **values: str) -> Page:
        """Send a form as it stands, but for these values."""
        return Page.of(await self._send(page, form, values, {}))

    async def submit_file(self, page: Page, form: HTMLForm, **values: str) -> Page:
        """Send a form with a picture in its field for a file."""
        files = {form.file_field: ("rehearsal.png", picture(), "image/png")}
        return Page.of(await self._send(page, form, values, files))

    async def _send(
        self, page: Page, form: HTMLForm, values: Mapping[str, str], files: Mapping[str, Any]
    ) -> httpx.Response:
        data: dict[str, list[str]] = {}
        for each in form.fields:
            if each.kind != "file":
                data.setdefault(each.name, []).append(values.get(each.name, each.filled))
        for name, value in values.items():
            data.setdefault(name, [value])
        headers = {"Origin": self.base_url}
        return await self.client.post(
            urljoin(page.url, form.action), data=data, files=dict(files) or None, headers=headers
        )


def picture() -> bytes:
    """A small red PNG."""
    from PIL import Image

    content = BytesIO()
    Image.new("RGB", (64, 64), "red").save(content, "PNG")
    return content.getvalue()
