"""The first superuser, sign-up by mail, and whom the site takes for its visitor."""

import asyncio
import re
import time
from secrets import token_urlsafe

from opportune.ops.deploy.rehearsal.page_steps import UPLOAD_MEND
from opportune.ops.deploy.rehearsal.process import POLL_SECONDS
from opportune.ops.deploy.rehearsal.stage import Stage, StepFailed, StepLeftOut, mend_for, running
from opportune.ops.deploy.rehearsal.visitor import Page, Visitor

SETUP_LINK = re.compile(r"https?://\S+/accounts/setup\?token=[\w.~-]+")
LINK = re.compile(r"https?://[^\s\"'<>]+")
FORGED_ADDRESS = "203.0.113.7"
MAIL_TIMEOUT_SECONDS = 60.0
LINK_TIMEOUT_SECONDS = 30.0
ASK_AGAIN_SECONDS = 2.0


async def first_superuser(stage: Stage) -> str:
    """The first superuser, by the link from the log."""
    instance = running(stage)
    deadline = time.monotonic() + LINK_TIMEOUT_SECONDS
    while not (link := SETUP_LINK.search(instance.said)) and time.monotonic() < deadline:
        await stage.superuser.get("/accounts/setup")  # which puts another one there
        await asyncio.sleep(ASK_AGAIN_SECONDS)
    if not link:
        raise StepFailed("the log has no link for the first superuser", "see `accounts` in app/installed.py")
    if not link[0].startswith(stage.base_url):
        raise StepFailed(f"the link in the log leads to {link[0].split('/accounts')[0]}", "set BASE_URL")
    page = await stage.superuser.get(link[0])
    form = page.form_with("password")
    if form is None:
        raise StepFailed(f"the link from the log is answered {page.status}", "set BASE_URL to the public address")
    page = await stage.superuser.submit(page, form, email=stage.admin_email, password=token_urlsafe(18))
    if page.status != 200 or not page.path.startswith("/admin"):
        raise StepFailed(f"to become superuser is answered {page.status}", mend_for(instance.said))
    return "made by the link from the log, without a shell"


async def sign_up(stage: Stage) -> str:
    """Somebody registers, by an e-mail that a job sends over HTTPS."""
    visitor = stage.visitor
    page = await visitor.get("/accounts/register")
    form = page.form_with("email", "password")
    if form is None:
        raise StepLeftOut("the site lets nobody register")
    begun = time.monotonic()
    page = await visitor.submit(page, form, email=stage.email, password=stage.password)
    if page.status >= 400:
        raise StepFailed(f"to register is answered {page.status}", mend_for(running(stage).said))
    link = await _link_by_mail(stage)
    took = time.monotonic() - begun
    page = await visitor.get(link)
    if confirm := page.form_with("token"):
        page = await visitor.submit(page, confirm, password=stage.password)
    if not await is_let_in(stage, visitor):
        raise StepFailed(
            f"the link of the e-mail signs nobody in ({page.status})", "set BASE_URL to the public address"
        )
    return f"the e-mail came over HTTPS after {took:.1f} s, sent by a job, and its link let them in"


async def is_let_in(stage: Stage, visitor: Visitor) -> bool:
    """Whether the person is signed in, or can sign in."""
    page = await visitor.get("/accounts/profile")
    if form := page.form_with("email", "password"):
        await visitor.submit(page, form, email=stage.email, password=stage.password)
        page = await visitor.get("/accounts/profile")
    return page.status == 200 and stage.email in page.html


async def _link_by_mail(stage: Stage) -> str:
    deadline = time.monotonic() + MAIL_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        for mail in stage.outside.mails:
            links: list[str] = LINK.findall(str(mail.get("text", "")))
            links = [link for link in links if link.startswith(stage.base_url)]
            if stage.email in str(mail.get("to")) and links:
                return links[0]
        if not stage.rules.host.runs_between_requests:
            await stage.visitor.get("/accounts/login")
        await asyncio.sleep(POLL_SECONDS)
    if stage.outside.mails:
        raise StepFailed("the e-mail has no link to this site", "set BASE_URL to the public address")
    raise StepFailed(
        f"no e-mail came within {MAIL_TIMEOUT_SECONDS:g} s",
        "jobs are done by the site itself with JOBS=inline, and by `oppman.py worker` with JOBS=worker"
        if stage.rules.host.runs_between_requests
        else "nothing runs between requests here: see JOBS in docs/jobs.md",
    )


async def visitor_address(stage: Stage) -> str:
    """Whom the site takes for its visitor, and whether they may choose."""
    visitor = stage.visitor
    if visitor.address == "127.0.0.1":
        raise StepLeftOut("this machine has one address alone")
    page = Page.of(await visitor.client.get("/accounts/events", headers={"X-Forwarded-For": FORGED_ADDRESS}))
    if page.status != 200:
        page = await visitor.get("/accounts/sessions")
    if visitor.address in page.words:
        return "the site sees the visitor's, and not the proxy's"
    raise StepFailed(
        "the site takes the proxy, or what a visitor has written, for the visitor's address",
        "set TRUSTED_PROXIES=* and, where the host has a header of its own, CLIENT_ADDRESS_HEADER (docs/deploy.md)",
    )


async def still_there(stage: Stage) -> str:
    """Whether who signed up before the deploy can sign in after it."""
    async with Visitor(stage.base_url, stage.certificate, stage.visitor.address) as returned:
        if not await is_let_in(stage, returned):
            raise StepFailed(
                "who signed up before the deploy is not known after it",
                "set DATABASE_URL to PostgreSQL: this host throws its disk away with each deploy",
            )
        kept = await _shown(stage, returned)
    return f"who signed up before the deploy signs in after it{kept}"


async def _shown(stage: Stage, visitor: Visitor) -> str:
    """Whether the picture that was sent before is still there."""
    if not stage.upload_path:
        return ""
    page = await visitor.get(stage.upload_path)
    statuses = [(await visitor.client.get(image)).status_code for image in page.images]
    if any(status >= 400 for status in statuses):
        raise StepFailed("a picture that was sent before the deploy is gone after it", UPLOAD_MEND)
    return ", and sees their picture" if statuses else ""
