"""The admin, and an upload by whatever form takes a file."""

import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from opportune.ops.deploy.rehearsal.stage import Stage, StepFailed, StepLeftOut, mend_for, running
from opportune.ops.deploy.rehearsal.visitor import Page, Visitor

EDIT_LINK = re.compile(r"/admin/[\w-]+/edit/[\w-]+$")
LIST_LINK = re.compile(r"/admin/[\w-]+/list$")
UPLOAD_MEND = "set STORAGE_URL to a bucket, or to database: (docs/files.md)"
KEPT = {"s3": "in the bucket", "database": "in the database", "file": "in a folder of the machine"}
MAX_PAGES = 40


async def admin(stage: Stage) -> str:
    """The admin: each list, and a change of a row."""
    overview = await stage.superuser.get("/admin")
    lists = sorted({urlsplit(link).path for link in overview.links if LIST_LINK.search(urlsplit(link).path)})
    if overview.status != 200 or not lists:
        raise StepLeftOut("the site has no admin")
    pages = {path: await stage.superuser.get(path) for path in lists}
    if broken := [f"{path} {page.status}" for path, page in pages.items() if page.status != 200]:
        raise StepFailed(f"lists that do not open: {', '.join(broken)}", mend_for(running(stage).said))
    links = {urlsplit(link).path for page in pages.values() for link in page.links}
    for path in sorted((link for link in links if EDIT_LINK.search(link)), key=lambda each: "user" not in each):
        page = await stage.superuser.get(path)
        if form := page.form_to(path):
            changed = await stage.superuser.submit(page, form)
            if changed.status >= 400:
                raise StepFailed(f"to save {path} is answered {changed.status}", mend_for(running(stage).said))
            return f"{len(lists)} lists open, and a row was saved"
    return f"{len(lists)} lists open; no row there may be changed"


async def upload(stage: Stage) -> str:
    """A picture, by the first form that takes a file."""
    async for who, page in _pages(stage):
        for form in page.forms:
            if form.method == "post" and form.file_field and form.is_multipart:
                answer = await who.submit_file(page, form)
                if answer.status >= 500:
                    raise StepFailed(f"a file sent to {page.path} is answered {answer.status}", UPLOAD_MEND)
                if answer.status < 400:
                    stage.upload_path = page.path if who is stage.visitor else ""
                    kind = stage.launcher.environ["STORAGE_URL"].partition(":")[0]
                    return f"a picture sent by {page.path} is {KEPT.get(kind, 'kept')}"
    raise StepLeftOut("no form of this site takes a file")


async def _pages(stage: Stage) -> AsyncIterator[tuple[Visitor, Page]]:
    """The pages that somebody finds from the first one, and the forms of the admin."""
    for who, start, wanted in ((stage.visitor, "/", None), (stage.superuser, "/admin", LIST_LINK)):
        first = await who.get(start)
        found = dict.fromkeys([start, *map(_path, first.links)])
        if wanted:
            found = dict.fromkeys(path.replace("/list", "/create") for path in found if LIST_LINK.search(path))
        own = [path for path in found if wanted or not path.startswith(("/admin", "/accounts/log", "/api", "http"))]
        for path in own[:MAX_PAGES]:
            yield who, await who.get(path)


def _path(url: str) -> str:
    return urlsplit(url).path
