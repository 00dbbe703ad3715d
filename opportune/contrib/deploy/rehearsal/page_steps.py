"""Steps of the rehearsal: first superuser, registration by e-mail, client address, admin and uploads."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from secrets import token_urlsafe
from urllib.parse import urlsplit

from opportune.contrib.deploy.rehearsal.html_page import HtmlForm, Page
from opportune.contrib.deploy.rehearsal.instance import POLL_SECONDS
from opportune.contrib.deploy.rehearsal.stage import Stage, StepFailed, StepSkipped, require_instance, suggest_fix
from opportune.contrib.deploy.rehearsal.visitor import Visitor

SETUP_LINK = re.compile(r"https?://\S+/accounts/setup\?token=[\w.~-]+")
LINK = re.compile(r"https?://[^\s\"'<>]+")
FORGED_ADDRESS = "203.0.113.7"
MAIL_TIMEOUT_SECONDS = 60.0
LINK_TIMEOUT_SECONDS = 30.0
RETRY_SECONDS = 2.0
EDIT_LINK = re.compile(r"/admin/[\w-]+/edit/[^/?#]+$")
LIST_LINK = re.compile(r"/admin/[\w-]+/list$")
UPLOAD_FIX = "set STORAGE_URL to a bucket, or to database: (oppman.py docs files)"
LOCATIONS = {"s3": "in the bucket", "database": "in the database", "file": "in a folder of the machine"}
SKIPPED_PATHS = ("/admin/", "/accounts/log", "/api/")
"""Beginnings of paths that an anonymous visitor need not or must not visit, such as the sign-out."""
MAX_PAGES = 40


async def create_first_superuser(stage: Stage) -> str:
    """Create the first superuser with the link in the log."""
    instance = require_instance(stage)
    deadline = time.monotonic() + LINK_TIMEOUT_SECONDS
    while not (link := SETUP_LINK.search(instance.output)) and time.monotonic() < deadline:
        await stage.superuser.get("/accounts/setup")  # logs another link
        await asyncio.sleep(RETRY_SECONDS)
    if not link:
        raise StepFailed("the log has no link for the first superuser", "see `accounts` in app/installed.py")
    if not link[0].startswith(stage.base_url):
        raise StepFailed(f"the link in the log leads to {link[0].split('/accounts')[0]}", "set BASE_URL")
    page = await stage.superuser.get(link[0])
    form = page.form_with("password")
    if form is None:
        raise StepFailed(f"the link from the log returns {page.status}", "set BASE_URL to the public address")
    page = await stage.superuser.submit(page, form, email=stage.admin_email, password=token_urlsafe(18))
    if page.status != 200 or not page.path.startswith("/admin"):
        raise StepFailed(f"creating the superuser returns {page.status}", suggest_fix(instance))
    return "created with the link from the log, without a shell"


async def sign_up(stage: Stage) -> str:
    """Register a user, with an e-mail that a job sends over HTTPS."""
    visitor = stage.visitor
    page = await visitor.get("/accounts/register")
    form = page.form_with("email", "password")
    if form is None:
        raise StepSkipped("the site has no registration")
    start = time.monotonic()
    page = await visitor.submit(page, form, email=stage.email, password=stage.password)
    if page.status >= 400:
        raise StepFailed(f"registration returns {page.status}", suggest_fix(require_instance(stage)))
    link = await _wait_for_mailed_link(stage)
    duration = time.monotonic() - start
    page = await visitor.get(link)
    if confirm_form := page.form_with("token"):
        page = await visitor.submit(page, confirm_form, password=stage.password)
    if not await can_sign_in(stage, visitor):
        raise StepFailed(f"the link in the e-mail does not work ({page.status})", "set BASE_URL to the public address")
    return f"a job sent the e-mail over HTTPS after {duration:.1f} s, and its link signs in"


async def can_sign_in(stage: Stage, visitor: Visitor) -> bool:
    """Return True if the user is signed in or can sign in."""
    page = await visitor.get("/accounts/profile")
    if form := page.form_with("email", "password"):
        await visitor.submit(page, form, email=stage.email, password=stage.password)
        page = await visitor.get("/accounts/profile")
    return page.status == 200 and stage.email in page.html


async def _wait_for_mailed_link(stage: Stage) -> str:
    deadline = time.monotonic() + MAIL_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if link := _find_mailed_link(stage):
            return link
        if not stage.rules.host.runs_between_requests:
            await stage.visitor.get("/accounts/login")
        await asyncio.sleep(POLL_SECONDS)
    if stage.services.mails:
        raise StepFailed("the e-mail has no link to this site", "set BASE_URL to the public address")
    fix = "nothing runs between requests here: see JOBS in oppman.py docs jobs"
    if stage.rules.host.runs_between_requests:
        fix = "set JOBS=inline, or JOBS=worker and run `oppman.py worker`"
    raise StepFailed(f"no e-mail arrived within {MAIL_TIMEOUT_SECONDS:g} s", fix)


def _find_mailed_link(stage: Stage) -> str | None:
    """Return the first link to the site in an e-mail to the new user; None if there is none yet."""
    mails = [mail for mail in stage.services.mails if stage.email in str(mail.get("to"))]
    links = [link for mail in mails for link in LINK.findall(str(mail.get("text", "")))]
    return next((link for link in links if link.startswith(stage.base_url)), None)


async def check_visitor_address(stage: Stage) -> str:
    """Check that the site sees the client's address and that clients cannot forge it."""
    visitor = stage.visitor
    if visitor.address == "127.0.0.1":
        raise StepSkipped("this machine has only one address")
    page = Page.from_response(await visitor.client.get("/accounts/events", headers={"X-Forwarded-For": FORGED_ADDRESS}))
    if page.status != 200:
        page = await visitor.get("/accounts/sessions")
    if visitor.address in page.text:
        return "the site sees the client's address, not the proxy's"
    raise StepFailed(
        "the site uses the proxy's address, or a forged one, as the client address",
        "set TRUSTED_PROXIES=* and, if the host has its own header, CLIENT_ADDRESS_HEADER (oppman.py docs deploy)",
    )


async def check_data_after_deploy(stage: Stage) -> str:
    """Check that a user registered before the deploy can sign in after it."""
    async with Visitor(stage.base_url, stage.certificate, stage.visitor.address) as visitor:
        if not await can_sign_in(stage, visitor):
            raise StepFailed(
                "a user registered before the deploy no longer exists",
                "set DATABASE_URL to PostgreSQL: this host deletes its disk at each deploy",
            )
        upload_note = await _check_upload(stage, visitor)
    return f"a user registered before the deploy can sign in{upload_note}"


async def _check_upload(stage: Stage, visitor: Visitor) -> str:
    """Check that the picture uploaded before the deploy still exists."""
    if not stage.upload_path:
        return ""
    page = await visitor.get(stage.upload_path)
    statuses = [(await visitor.client.get(image)).status_code for image in page.images]
    if any(status >= 400 for status in statuses):
        raise StepFailed("a picture uploaded before the deploy no longer exists", UPLOAD_FIX)
    return ", and their picture exists" if statuses else ""


async def check_admin(stage: Stage) -> str:
    """Open all lists of the admin and save a row."""
    overview = await stage.superuser.get("/admin")
    lists = sorted(path for path in _linked_paths(overview) if LIST_LINK.search(path))
    if overview.status != 200 or not lists:
        raise StepSkipped("the site has no admin")
    pages = {path: await stage.superuser.get(path) for path in lists}
    if failed_lists := [f"{path} {page.status}" for path, page in pages.items() if page.status != 200]:
        raise StepFailed(f"lists with errors: {', '.join(failed_lists)}", suggest_fix(require_instance(stage)))
    paths = {path for page in pages.values() for path in _linked_paths(page) if EDIT_LINK.search(path)}
    for path in sorted(paths, key=lambda path: "user" not in path):  # users can be saved without changes
        page = await stage.superuser.get(path)
        if form := page.form_to(path):
            result = await stage.superuser.submit(page, form)
            if result.status >= 400:
                raise StepFailed(f"saving {path} returns {result.status}", suggest_fix(require_instance(stage)))
            return f"{len(lists)} lists open, and a row was saved"
    return f"{len(lists)} lists open; no row can be edited"


async def upload_picture(stage: Stage) -> str:
    """Upload a picture with the first form that has a file field."""
    async for visitor, page, form in _upload_forms(stage):
        result = await visitor.submit(page, form, with_picture=True)
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
