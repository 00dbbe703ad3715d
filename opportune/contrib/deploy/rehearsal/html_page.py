"""Pages as a browser reads them: links, pictures, and forms with the values to send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

import httpx2

from opportune.contrib.documents.html import HtmlElement, parse_page

UNSENT_TYPES = ("button", "image", "reset", "submit")
"""Types of controls without a value."""
TICKED_TYPES = ("checkbox", "radio")
DATE_EXAMPLES = {"date": "%Y-%m-%d", "datetime-local": "%Y-%m-%dT12:00"}
EXAMPLES = {"time": "12:00", "email": "rehearsal@example.com", "number": "1", "url": "https://example.com"}
"""Values for required controls by type. Others get a word."""


@dataclass(frozen=True)
class FormControl:
    name: str
    type_: str
    values: list[str]
    """Values that a browser sends if the visitor changes nothing."""
    is_required: bool
    options: list[str]

    @classmethod
    def from_element(cls, element: HtmlElement) -> "FormControl":
        attributes = element.attributes
        type_ = attributes.get("type", "text") if element.tag == "input" else element.tag
        options = [_option_value(option) for option in _enabled_options(element)]
        return cls(attributes["name"], type_, _initial_values(element), "required" in attributes, options)

    @property
    def values_to_send(self) -> list[str]:
        """Current values, or an example if the field is required."""
        if any(self.values) or self.type_ in ("hidden", "file") or not self.is_required:
            return self.values
        if self.options:
            return [next(filter(None, self.options), "")]
        if self.type_ in DATE_EXAMPLES:
            return [datetime.now(UTC).strftime(DATE_EXAMPLES[self.type_])]
        return [EXAMPLES.get(self.type_, "Rehearsal")]


def _initial_values(element: HtmlElement) -> list[str]:
    """Return the values of an unchanged control.

    Browsers send nothing for a list (`size`) without a selection, and nothing in a disabled `fieldset` or `optgroup`.
    """
    if element.tag == "textarea":
        return [element.text.removeprefix("\n")]
    if element.tag == "select":
        return [_option_value(option) for option in _sent_options(element)]
    default = "on" if element.attributes.get("type") in TICKED_TYPES else ""
    return [element.attributes.get("value", default)]


def _sent_options(select: HtmlElement) -> list[HtmlElement]:
    """Return the selected options: of a single select the last one, or the first enabled one if none is selected."""
    enabled = _enabled_options(select)
    selected = [item for item in select.elements if item.tag == "option" and "selected" in item.attributes]
    if "multiple" not in select.attributes:
        if not selected:
            return enabled[:1]
        selected = selected[-1:]
    return [option for option in selected if option in enabled]


def _enabled_options(element: HtmlElement) -> list[HtmlElement]:
    return [item for item in element.elements if item.tag == "option" and "disabled" not in item.attributes]


def _option_value(option: HtmlElement) -> str:
    return option.attributes.get("value", " ".join(option.text.split()))


@dataclass(frozen=True)
class HtmlForm:
    action: str
    method: str
    is_multipart: bool
    controls: list[FormControl]

    @classmethod
    def from_element(cls, form: HtmlElement) -> "HtmlForm":
        attributes = form.attributes
        controls = [FormControl.from_element(element) for element in form.elements if _is_sent(element)]
        is_multipart = attributes.get("enctype") == "multipart/form-data"
        return cls(attributes.get("action", ""), attributes.get("method", "get").lower(), is_multipart, controls)

    @property
    def file_field(self) -> str:
        """Name of the first file field, or ""."""
        return next((control.name for control in self.controls if control.type_ == "file"), "")

    def has(self, *names: str) -> bool:
        return {control.name for control in self.controls}.issuperset(names)


def _is_sent(element: HtmlElement) -> bool:
    """Return True for a control whose value a browser sends."""
    attributes = element.attributes
    is_off = attributes.get("type") in TICKED_TYPES and "checked" not in attributes
    is_control = element.tag in ("input", "select", "textarea") and attributes.get("type") not in UNSENT_TYPES
    return is_control and bool(attributes.get("name")) and "disabled" not in attributes and not is_off


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
        url = str(response.url)
        root = parse_page(response.text)
        elements = [*root.elements]
        forms = [HtmlForm.from_element(element) for element in elements if element.tag == "form"]
        links = _addresses(url, elements, "a", "href")
        images = _addresses(url, elements, "img", "src")
        return cls(response.status_code, url, response.text, forms, links, images, root.text)

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


def _addresses(base: str, elements: Sequence[HtmlElement], tag: str, attribute: str) -> list[str]:
    values = [element.attributes.get(attribute) for element in elements if element.tag == tag]
    return [urljoin(base, value) for value in values if value is not None]
