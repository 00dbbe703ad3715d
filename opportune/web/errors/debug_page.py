"""Debug page: the failing line of project code with local variables, the request, and the full traceback."""

import traceback
from collections.abc import Mapping
from types import FrameType
from typing import Any, NamedTuple
from uuid import uuid4

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from opportune.config.settings import Settings
from opportune.project.layout import TEMPLATE_FOLDERS
from opportune.schemas.masks import MASK, SECRET_NAME
from opportune.web.errors.secret_mask import SecretMask
from opportune.web.errors.source_lines import SourceLine, find_last_line, source_line_of
from opportune.web.routing.api_router import APIRouter

MAX_VARIABLES = 40
CODE_VERSION_PATH = "/debug/saved"
"""Path that the debug page polls for the version of the code. The version changes when a file is saved."""
PROCESS_ID = uuid4().hex

router = APIRouter(include_in_schema=False)


class ErrorReport(NamedTuple):
    """Content of the debug page. Secrets are masked: variables with such names, and values of secret settings."""

    type_name: str
    message: str
    location: SourceLine | None
    function: str
    variables: Mapping[str, str]
    """Local variables of the frame, shortened."""
    request: Mapping[str, str]
    trace: str

    def __str__(self) -> str:
        place = f" ({self.location.file}:{self.location.number})" if self.location else ""
        return f"{self.type_name}: {self.message}{place}"


def build_report(error: BaseException, settings: Settings, request: Request | None = None) -> ErrorReport:
    mask = SecretMask.of(settings)
    line = find_last_line(error)
    frame = line.frame if line else None
    return ErrorReport(
        type_name=type(error).__name__,
        message=mask.mask_text(str(error)),
        location=source_line_of(error),
        function=frame.f_code.co_name if frame else "",
        variables=_mask_variables(frame, mask) if frame else {},
        request=mask_request(request, mask) if request else {},
        trace=mask.mask_text("".join(traceback.format_exception(error))),
    )


def debug_context(error: BaseException, settings: Settings, request: Request | None = None) -> dict[str, Any]:
    """Return the template context of `debug.html`."""
    return {"report": build_report(error, settings, request), "saved": code_version(), "saved_url": CODE_VERSION_PATH}


def _mask_variables(frame: FrameType, mask: SecretMask) -> dict[str, str]:
    # In the frame of a template, Jinja's internal variables begin with __.
    names = [name for name in frame.f_locals if not name.startswith("__")]
    return {name: mask.mask_value(name, frame.f_locals[name]) for name in names[:MAX_VARIABLES]}


def mask_request(request: Request, mask: SecretMask) -> dict[str, str]:
    """Return address, user and headers of a request, with secrets masked."""
    values = {"request": mask.mask_text(f"{request.method} {request.url.replace(path=mask_path(request))}")}
    if user := getattr(request.state, "user", None):
        values["signed in"] = str(getattr(user, "email", "yes"))
    values |= {f"path: {name}": mask.mask_value(name, value) for name, value in request.path_params.items()}
    for name, value in request.headers.items():
        values[name] = MASK if SECRET_NAME.search(name) else mask.mask_text(value)
    return values


def mask_path(request: Request) -> str:
    """Return the path without parameters that are secrets by their name."""
    path = request.url.path
    for name, value in request.path_params.items():
        if SECRET_NAME.search(name):
            path = path.replace(str(value), MASK)
    return path


@router.get(CODE_VERSION_PATH)
async def show_code_version() -> dict[str, Any]:
    """Return the version of the code. The debug page polls it every second and reloads when it changes."""
    return {"saved": await run_in_threadpool(code_version)}


def code_version() -> str:
    """Return a text that differs after a restart of the process and after a change of a template."""
    files = (path for folder in TEMPLATE_FOLDERS for path in folder.rglob("*.html"))
    return f"{PROCESS_ID}-{max((path.stat().st_mtime_ns for path in files), default=0)}"
