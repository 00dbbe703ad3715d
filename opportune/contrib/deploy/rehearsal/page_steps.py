"""Steps of the rehearsal: the admin, and an upload with the first form that has a file field."""

import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from opportune.contrib.deploy.rehearsal.stage import Stage, StepFailed, StepSkipped, require_instance, suggest_fix
from opportune.contrib.deploy.rehearsal.visitor import HtmlForm, Page, Visitor

EDIT_LINK = re.compile(r"/admin/[\w-]+/edit/[\w-]+$")
LIST_LINK = re.compile(r"/admin/[\w-]+/list$")
UPLOAD_FIX = "set STORAGE_URL to a bucket, or to database: (oppman.py docs files)"
LOCATIONS = {"s3": "in the bucket", "database": "in the database", "file": "in a folder of the machine"}
SKIPPED_PATHS = ("/admin/", "/accounts/log", "/api/")
"""Beginnings of paths that an anonymous visitor need not or must not visit, such as the sign-out."""
MAX_PAGES = 40


async def check_admin(stage: Stage) -> str:
    """Open all lists of the admin and save a row."""
    overview = await stage.superuser.get("/admin")
    lists = sorted(path for path in _linked_paths(overview) if LIST_LINK.search(path))
    if overview.status != 200 or not lists:
        raise StepSkipped("the site has no admin")
    pages = {path: await stage.superuser.get(path) for path in lists}
    if failed_lists := [f"{path} {page.status}" for path, page in pages.items() if page.status != 200]:
        raise StepFailed(f"lists with errors: {', '.join(failed_lists)}", suggest_fix(require_instance(stage).output))
    paths = {path for page in pages.values() for path in _linked_paths(page) if EDIT_LINK.search(path)}
    for path in sorted(paths, key=lambda path: "user" not in path):  # users can be saved without changes
        page = await stage.superuser.get(path)
        if form := page.form_to(path):
            result = await stage.superuser.submit(page, form)
            if result.status >= 400:
                raise StepFailed(f"saving {path} returns {result.status}", suggest_fix(require_instance(stage).output))
            return f"{len(lists)} lists open, and a row was saved"
    return f"{len(lists)} lists open; no row can be edited"


async def upload_picture(stage: Stage) -> str:
    """Upload a picture with the first form that has a file field."""
    async for visitor, page, form in _upload_forms(stage):
        result = await visitor.submit_file(page, form)
        if result.status >= 500:
            raise StepFailed(f"an upload to {page.path} returns {result.status}", UPLOAD_FIX)
        if result.status < 400:
            stage.upload_path = page.path if visitor is stage.visitor else ""
            scheme = stage.launcher.environ["STORAGE_URL"].partition(":")[0]
            return f"a picture uploaded on {page.path} is stored {LOCATIONS.get(scheme, '')}".rstrip()
    raise StepSkipped("no form of this site has a file field")


async def _upload_forms(stage: Stage) -> AsyncIterator[tuple[Visitor, Page, HtmlForm]]:
    """Yield the forms with a file field on pages that the start page links, then those of the admin."""
    linked = dict.fromkeys(["/", *_linked_paths(await stage.visitor.get("/"))])
    lists = _linked_paths(await stage.superuser.get("/admin"))
    paths = [(stage.visitor, path) for path in linked if not f"{path}/".startswith(SKIPPED_PATHS)][:MAX_PAGES]
    paths += [(stage.superuser, path.replace("/list", "/create")) for path in lists if LIST_LINK.search(path)]
    for visitor, path in paths:
        page = await visitor.get(path)
        for form in page.forms:
            if form.method == "post" and form.file_field and form.is_multipart:
                yield visitor, page, form


def _linked_paths(page: Page) -> list[str]:
    return list(dict.fromkeys(urlsplit(link).path for link in page.links))
