"""Steps of the rehearsal: the admin, and an upload with the first form that has a file field."""

import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from opportune.contrib.deploy.rehearsal.stage import Stage, StepFailed, StepSkipped, require_instance, suggest_fix
from opportune.contrib.deploy.rehearsal.visitor import Page, Visitor

EDIT_LINK = re.compile(r"/admin/[\w-]+/edit/[\w-]+$")
LIST_LINK = re.compile(r"/admin/[\w-]+/list$")
UPLOAD_FIX = "set STORAGE_URL to a bucket, or to database: (oppman.py docs files)"
LOCATIONS = {"s3": "in the bucket", "database": "in the database", "file": "in a folder of the machine"}
MAX_PAGES = 40


async def check_admin(stage: Stage) -> str:
    """Open all lists of the admin and save a row."""
    overview = await stage.superuser.get("/admin")
    lists = sorted({urlsplit(link).path for link in overview.links if LIST_LINK.search(urlsplit(link).path)})
    if overview.status != 200 or not lists:
        raise StepSkipped("the site has no admin")
    pages = {path: await stage.superuser.get(path) for path in lists}
    if failed_lists := [f"{path} {page.status}" for path, page in pages.items() if page.status != 200]:
        raise StepFailed(f"lists with errors: {', '.join(failed_lists)}", suggest_fix(require_instance(stage).output))
    links = {urlsplit(link).path for page in pages.values() for link in page.links}
    for path in sorted((link for link in links if EDIT_LINK.search(link)), key=lambda link: "user" not in link):
        page = await stage.superuser.get(path)
        if form := page.form_to(path):
            result = await stage.superuser.submit(page, form)
            if result.status >= 400:
                raise StepFailed(f"saving {path} returns {result.status}", suggest_fix(require_instance(stage).output))
            return f"{len(lists)} lists open, and a row was saved"
    return f"{len(lists)} lists open; no row can be edited"


async def upload_picture(stage: Stage) -> str:
    """Upload a picture with the first form that has a file field."""
    async for visitor, page in _linked_pages(stage):
        for form in page.forms:
            if form.method == "post" and form.file_field and form.is_multipart:
                result = await visitor.submit_file(page, form)
                if result.status >= 500:
                    raise StepFailed(f"an upload to {page.path} returns {result.status}", UPLOAD_FIX)
                if result.status < 400:
                    stage.upload_path = page.path if visitor is stage.visitor else ""
                    scheme = stage.launcher.environ["STORAGE_URL"].partition(":")[0]
                    return f"a picture uploaded on {page.path} is stored {LOCATIONS.get(scheme, '')}".rstrip()
    raise StepSkipped("no form of this site has a file field")


async def _linked_pages(stage: Stage) -> AsyncIterator[tuple[Visitor, Page]]:
    """Yield the pages linked on the start page, then the forms of the admin."""
    for visitor, start, is_admin in ((stage.visitor, "/", False), (stage.superuser, "/admin", True)):
        start_page = await visitor.get(start)
        paths = dict.fromkeys([start, *(urlsplit(link).path for link in start_page.links)])
        if is_admin:
            paths = dict.fromkeys(path.replace("/list", "/create") for path in paths if LIST_LINK.search(path))
        excluded = () if is_admin else ("/admin", "/accounts/log", "/api", "http")
        for path in [path for path in paths if not path.startswith(excluded)][:MAX_PAGES]:
            yield visitor, await visitor.get(path)
