"""Minimal browser: pages, links, forms and cookies over HTTP."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2

TIMEOUT_SECONDS = 30.0


@dataclass
class Field:
    """Control of a form."""

    name: str
    type_: str
    value: str = ""
    is_required: bool = False
    options: list[str] = field(default_factory=list)

    @property
    def value_to_send(self) -> str:
        """Current value, or an example if the field is required."""
        if self.value or self.type_ in ("hidden", "file"):
            return self.value
        if self.options:
            return next(filter(None, self.options), "") if self.is_required else ""
        if not self.is_required:
            return ""
        times = {"date": f"{date.today()}", "datetime-local": f"{date.today()}T12:00", "time": "12:00"}  # noqa: DTZ011 - any date
        texts = {"email": "rehearsal@example.com", "number": "1", "url": "https://example.com", **times}
        return texts.get(self.type_, "Rehearsal")


@dataclass
class HtmlForm:
    """Form of a page."""

    action: str
    method: str
    is_multipart: bool
    fields: list[Field] = field(default_factory=list)

    @property
    def file_field(self) -> str:
        """Name of the first file field, or ""."""
        return next((control.name for control in self.fields if control.type_ == "file"), "")

    def has(self, *names: str) -> bool:
        return {control.name for control in self.fields}.issuperset(names)


class _PageParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.texts: list[str] = []
        self._select: Field | None = None
        self._textarea: Field | None = None
        self._is_in_form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif tag == "img" and "src" in attributes:
            self.images.append(attributes["src"])
        elif tag == "form":
            multipart = attributes.get("enctype") == "multipart/form-data"
            self.forms.append(
                HtmlForm(attributes.get("action", ""), attributes.get("method", "get").lower(), multipart)
            )
            self._is_in_form = True
        elif tag == "option" and self._select is not None:
            self._select.options.append(attributes.get("value", ""))
            if "selected" in attributes:
                self._select.value = attributes.get("value", "")
        elif self._is_in_form and attributes.get("name") and "disabled" not in attributes:
            self._add_control(tag, attributes)

    def _add_control(self, tag: str, attributes: Mapping[str, str]) -> None:
        type_ = attributes.get("type", "text") if tag == "input" else tag
        is_ignored = tag not in ("input", "select", "textarea") or type_ in ("submit", "button", "image", "reset")
        if is_ignored or (type_ in ("checkbox", "radio") and "checked" not in attributes):
            return
        value = attributes.get("value", "on" if type_ == "checkbox" else "")
        control = Field(attributes["name"], type_, value, "required" in attributes)
        self.forms[-1].fields.append(control)
        self._select = control if tag == "select" else self._select
        self._textarea = control if tag == "textarea" else self._textarea

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
            self.texts.append(data.strip())


@dataclass(frozen=True)
class Page:
    """Parsed response."""

    status: int
    url: str
    html: str
    forms: list[HtmlForm]
    links: list[str]
    images: list[str]
    text: str
    """Text without tags."""

    @classmethod
    def from_response(cls, response: httpx2.Response) -> "Page":
        reader = _PageParser()
        reader.feed(response.text)
        url = str(response.url)
        links, images = ([urljoin(url, link) for link in urls] for urls in (reader.links, reader.images))
        return cls(response.status_code, url, response.text, reader.forms, links, images, " ".join(reader.texts))

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form_with(self, *names: str) -> HtmlForm | None:
        """Return the first POST form with these fields."""
        return next((form for form in self.forms if form.method == "post" and form.has(*names)), None)

    def form_to(self, path: str) -> HtmlForm | None:
        """Return the first POST form with this action."""
        paths = ((form, urlsplit(urljoin(self.url, form.action)).path) for form in self.forms if form.method == "post")
        return next((form for form, action in paths if action == path), None)


class Visitor:
    """HTTP client of the public site with its own address and cookies."""

    def __init__(self, base_url: str, certificate: Path, address: str = "127.0.0.1") -> None:
        self.base_url, self.address = base_url, address
        transport = httpx2.AsyncHTTPTransport(
            verify=ssl.create_default_context(cafile=str(certificate)), local_address=address, retries=0
        )
        self.client = httpx2.AsyncClient(
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
        return Page.from_response(await self.client.get(path))

    async def submit(self, page: Page, form: HtmlForm, **values: str) -> Page:
        """Submit a form with its current values, replaced by `values`."""
        return await self._send(page, form, values, None)

    async def submit_file(self, page: Page, form: HtmlForm) -> Page:
        """Submit a form with a picture in its file field."""
        return await self._send(page, form, {}, {form.file_field: ("rehearsal.png", create_picture(), "image/png")})

    async def _send(self, page: Page, form: HtmlForm, values: Mapping[str, str], files: dict[str, Any] | None) -> Page:
        data: dict[str, list[str]] = {}
        for control in form.fields:
            if control.type_ != "file":
                data.setdefault(control.name, []).append(values.get(control.name, control.value_to_send))
        for name, value in values.items():
            data.setdefault(name, [value])
        url, headers = urljoin(page.url, form.action), {"Origin": self.base_url}
        return Page.from_response(await self.client.post(url, data=data, files=files, headers=headers))


def create_picture() -> bytes:
    """Return a small PNG image."""
    from PIL import Image

    content = BytesIO()
    Image.new("RGB", (64, 64), "red").save(content, "PNG")
    return content.getvalue()
