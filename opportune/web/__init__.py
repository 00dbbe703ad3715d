"""Pages, forms, streaming, caching and rate limits of a site."""

from opportune.schemas import Schema
from opportune.schemas.annotations import FieldOptions
from opportune.web.cache import Cache, SiteCache, cached
from opportune.web.cache import clear as clear_cache
from opportune.web.client import Client, client_address
from opportune.web.forms.forms import Form, read_form
from opportune.web.forms.hidden_fields import form_user, let_repeat
from opportune.web.forms.uploads import ImageUpload, Upload, allow_files
from opportune.web.language import url
from opportune.web.rate_limit import HOUR_SECONDS, Limiter, RateLimit, TooManyRequests
from opportune.web.rendering import markdown, markdown_blocks
from opportune.web.rendering.flash import flash
from opportune.web.rendering.growing_markdown import MarkdownBlocks
from opportune.web.rendering.panels import render_panels
from opportune.web.rendering.templates import is_htmx, redirect, templates
from opportune.web.routing.api_router import APIRouter
from opportune.web.settings import settings_of
from opportune.web.static import icons
from opportune.web.static.files import assets
from opportune.web.streaming import EventStream, hx_partial, stream_form, stream_markdown
from opportune.web.time_zone import current_zone, format_date, format_datetime, site_zone

__all__ = [
    "HOUR_SECONDS",
    "APIRouter",
    "Cache",
    "Client",
    "EventStream",
    "FieldOptions",
    "Form",
    "ImageUpload",
    "Limiter",
    "MarkdownBlocks",
    "RateLimit",
    "Schema",
    "SiteCache",
    "TooManyRequests",
    "Upload",
    "allow_files",
    "assets",
    "cached",
    "clear_cache",
    "client_address",
    "current_zone",
    "flash",
    "form_user",
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
    "site_zone",
    "stream_form",
    "stream_markdown",
    "templates",
    "url",
]
