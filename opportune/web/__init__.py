"""How the site speaks HTTP."""

from opportune.speedups import speedup

speedup("opportune.web.lazy_route_adapter", "install", lambda: None)()  # before the first router is made

from opportune.annotations import FieldOptions  # noqa: E402
from opportune.schemas import Schema  # noqa: E402
from opportune.web.cache import cached  # noqa: E402
from opportune.web.cache import clear as clear_cache  # noqa: E402
from opportune.web.client import Client, client_address  # noqa: E402
from opportune.web.forms.forms import Form, read_form  # noqa: E402
from opportune.web.forms.submissions import let_repeat  # noqa: E402
from opportune.web.forms.uploads import ImageUpload, Upload, allow_files  # noqa: E402
from opportune.web.rate_limit import HOUR_SECONDS, Limiter, RateLimit, TooManyRequests  # noqa: E402
from opportune.web.rendering import icons, markdown, markdown_blocks  # noqa: E402
from opportune.web.rendering.flash import flash  # noqa: E402
from opportune.web.rendering.growing_markdown import MarkdownBlocks  # noqa: E402
from opportune.web.rendering.panels import render_panels  # noqa: E402
from opportune.web.rendering.static_files import assets  # noqa: E402
from opportune.web.rendering.templates import is_htmx, redirect, templates  # noqa: E402
from opportune.web.settings import settings_of  # noqa: E402
from opportune.web.streaming import EventStream, hx_partial, stream_markdown  # noqa: E402
from opportune.web.time_zone import current_zone, format_date, format_datetime  # noqa: E402

__all__ = [
    "HOUR_SECONDS",
    "Client",
    "EventStream",
    "FieldOptions",
    "Form",
    "ImageUpload",
    "Limiter",
    "MarkdownBlocks",
    "RateLimit",
    "Schema",
    "TooManyRequests",
    "Upload",
    "allow_files",
    "assets",
    "cached",
    "clear_cache",
    "client_address",
    "current_zone",
    "flash",
    "format_date",
    "format_datetime",
    "hx_partial",
    "icons",
    "is_htmx",
    "let_repeat",
    "markdown",
    "markdown_blocks",
    "read_form",
    "redirect",
    "render_panels",
    "settings_of",
    "stream_markdown",
    "templates",
]
