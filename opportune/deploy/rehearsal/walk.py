"""What a deployment goes through: each step is told as passed, failed with its mend, or left out."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlsplit

import httpx

from opportune.deploy.rehearsal.fakes import Outside, spoken
from opportune.deploy.rehearsal.process import POLL_SECONDS, Instance, Launcher
from opportune.deploy.rehearsal.questions import Asking
from opportune.deploy.rehearsal.router import DatabaseGate, Router
from opportune.deploy.rehearsal.rules import Rules
from opportune.deploy.rehearsal.streams import StreamedAnswer, read_answer
from opportune.deploy.rehearsal.visitor import Page, Visitor

SETUP_LINK = re.compile(r"https?://\S+/accounts/setup\?token=[\w.~-]+")
LINK = re.compile(r"https?://[^\s\"'<>]+")
EDIT_LINK = re.compile(r"/admin/[\w-]+/edit/[\w-]+$")
LIST_LINK = re.compile(r"/admin/[\w-]+/list$")
CREATE_LINK = re.compile(r"/admin/[\w-]+/create$")
VISITOR_ADDRESS = "127.0.0.2"
"""Another one than the proxy's, so that a site that takes the proxy for its visitor is found out."""
FORGED_ADDRESS = "203.0.113.7"
MAIL_TIMEOUT_SECONDS = 20.0
LINK_TIMEOUT_SECONDS = 10.0
STREAM_TIMEOUT_SECONDS = 60.0
MAX_PAGES = 40
MAX_RESTARTS = 5
PORT_SECONDS = 0.5
WORDS = 40


class Outcome(Enum):
    PASSED = "ok"
    FAILED = "FAILED"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Result:
    """What became of one step."""

    step: str
    outcome: Outcome
    text: str
    mend: str = ""


class StepFailed(Exception):  # noqa: N818 - a rehearsal that finds something is no error of ours
    """The site did not do what it should, and what would mend it."""

    def __init__(self, text: str, mend: str) -> None:
        super().__init__(text)
        self.text, self.mend = text, mend


class StepLeftOut(Exception):  # noqa: N818 - as above
    """The site, or this machine, has nothing of the kind."""


@dataclass
class Stage:
    """The host as it stands here, with the site on it and those who visit it."""

    rules: Rules
    launcher: Launcher
    gate: DatabaseGate
    outside: Outside
    base_url: str
    certificate: Path
    asking: Asking | None = None
    """Where the site takes a question for a language model."""
    router: Router = field(init=False)
    instance: Instance | None = None
    email: str = "rehearsal@example.com"
    password: str = field(default_factory=lambda: token_urlsafe(18))
    admin_email: str = "admin@example.com"
    restarts: int = 0
    visitor: Visitor = field(init=False)
    superuser: Visitor = field(init=False)

    def __post_init__(self) -> None:
        self.router = Router(self._wake, self._freeze, self.rules.total_seconds)

    @asynccontextmanager
    async def visited(self, address: str = VISITOR_ADDRESS) -> AsyncIterator[None]:
        """With somebody who visits the site, and somebody else who looks after it."""
        async with (
            Visitor(self.base_url, self.certificate, address) as self.visitor,
            Visitor(self.base_url, self.certificate) as self.superuser,
        ):
            yield

    async def start(self) -> Instance:
        """Start a process as the host does: again when it has failed, until its health check is content.

        Raises:
            StepFailed: it takes too long, or ends again and again.
        """
        begun = time.monotonic()
        failures = 0
        instance = self.launcher.start()
        while time.monotonic() - begun < self.rules.start_seconds:
            if not instance.is_running:
                failures += 1
                if failures > MAX_RESTARTS:
                    break
                self.restarts += 1
                instance = self.launcher.start()
            if await self._is_healthy(instance.port):
                return instance
            await asyncio.sleep(POLL_SECONDS)
        await instance.kill()
        raise _why_it_does_not_start(self.rules, instance, failures)

    async def _is_healthy(self, port: int) -> bool:
        """As a host asks: by plain HTTP, past its own proxy, with a name that is not the site's."""
        url = f"http://127.0.0.1:{port}{self.rules.host.health_path}"
        try:
            async with httpx.AsyncClient(timeout=PORT_SECONDS * 10, headers={"Host": f"10.0.0.7:{port}"}) as client:
                response = await client.get(url)
        except httpx.HTTPError:
            return False
        return response.status_code == 200

    async def _wake(self) -> int:
        self.instance = await self.start()
        return self.instance.port

    def _freeze(self, is_still: bool) -> None:
        if self.instance and not self.rules.host.runs_between_requests:
            self.instance.measure()
            self.instance.freeze(is_still)

    async def sleep(self) -> Instance | None:
        """What a host does after a while without visitors, to the site and to its database."""
        asleep, self.instance, self.router.site_port = self.instance, None, None
        if asleep:
            await asleep.stop(self.rules.host.stop_signal, self.rules.stop_seconds)
        self.launcher.deploy()
        await self.gate.sleep()
        return asleep


def _why_it_does_not_start(rules: Rules, instance: Instance, failures: int) -> StepFailed:
    said = instance.last_words
    if failures > MAX_RESTARTS:
        if instance.process.returncode == -9:
            return StepFailed(
                f"it was killed {failures} times: it wanted more memory than {rules.host.title} has",
                "take a larger machine, or fewer features (app/installed.py)",
            )
        return StepFailed(f"it ends again and again. Its last words: {said}", mend_for(instance.said))
    return StepFailed(
        f"{rules.host.health_path} did not answer 200 within {rules.start_seconds:g} s. Its last words: {said}",
        "have less done before the port opens, or a health check that waits for longer",
    )


def mend_for(log: str) -> str:
    """What mends a fault that the log tells of."""
    if "Read-only file system" in log or "PermissionError" in log or "Permission denied" in log:
        return "write to tempfile's folder what may be lost, to STORAGE_URL what is kept: this host's tree is read-only"
    if "sqlite" in log.lower() or "unable to open database file" in log:
        return "set DATABASE_URL to PostgreSQL: this host has no disk for a SQLite file"
    if "MemoryError" in log:
        return "take a larger machine, or fewer features (app/installed.py)"
    return "its last words tell; --keep leaves the whole log"


async def first_start(stage: Stage) -> str:
    """The first start, on an empty database that is asleep."""
    begun = time.monotonic()
    stage.instance = await stage.start()
    stage.router.site_port = stage.instance.port
    took = time.monotonic() - begun
    stage.launcher.start_worker()
    page = await stage.visitor.get("/")
    if page.status >= 500:
        raise StepFailed(f"the first page is answered {page.status}", mend_for(stage.instance.said))
    stage._freeze(True)
    slept = f", past a database that refused {stage.gate.refused} times" if stage.gate.refused else ""
    again = f" after {stage.restarts} restarts" if stage.restarts else ""
    return f"tables made and healthy after {took:.1f} s{again}{slept}"


async def first_superuser(stage: Stage) -> str:
    """The first superuser, by the link from the log."""
    instance = _running(stage)
    deadline = time.monotonic() + LINK_TIMEOUT_SECONDS
    while not (link := SETUP_LINK.search(instance.said)) and time.monotonic() < deadline:
        await stage.superuser.get("/accounts/login")  # where nothing runs between requests
        await asyncio.sleep(POLL_SECONDS)
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
        raise StepFailed(f"to register is answered {page.status}", mend_for(_running(stage).said))
    link = await _link_by_mail(stage)
    took = time.monotonic() - begun
    page = await visitor.get(link)
    if confirm := page.form_with("token"):
        page = await visitor.submit(page, confirm, password=stage.password)
    if not await _is_let_in(stage, visitor):
        raise StepFailed(
            f"the link of the e-mail signs nobody in ({page.status})", "set BASE_URL to the public address"
        )
    return f"the e-mail came over HTTPS after {took:.1f} s, sent by a job, and its link let them in"


async def _is_let_in(stage: Stage, visitor: Visitor) -> bool:
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
            links = [link for link in LINK.findall(str(mail.get("text", ""))) if link.startswith(stage.base_url)]
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


async def admin(stage: Stage) -> str:
    """The admin: each list, and a change of a row."""
    overview = await stage.superuser.get("/admin")
    lists = sorted({urlsplit(link).path for link in overview.links if LIST_LINK.search(urlsplit(link).path)})
    if overview.status != 200 or not lists:
        raise StepLeftOut("the site has no admin")
    pages = {path: await stage.superuser.get(path) for path in lists}
    if broken := [f"{path} {page.status}" for path, page in pages.items() if page.status != 200]:
        raise StepFailed(f"lists that do not open: {', '.join(broken)}", mend_for(_running(stage).said))
    links = {urlsplit(link).path for page in pages.values() for link in page.links}
    for path in sorted((link for link in links if EDIT_LINK.search(link)), key=lambda each: "user" not in each):
        page = await stage.superuser.get(path)
        if form := page.form_to(path):
            changed = await stage.superuser.submit(page, form)
            if changed.status >= 400:
                raise StepFailed(f"to save {path} is answered {changed.status}", mend_for(_running(stage).said))
            return f"{len(lists)} lists open, and a row was saved"
    return f"{len(lists)} lists open; no row there may be changed"


async def upload(stage: Stage) -> str:
    """A picture, by the first form that takes a file."""
    async for who, page in _pages(stage):
        for form in page.forms:
            if form.method == "post" and form.file_field and form.is_multipart:
                before = len(stage.outside.files)
                answer = await who.submit_file(page, form)
                if answer.status >= 500:
                    raise StepFailed(f"a file sent to {page.path} is answered {answer.status}", UPLOAD_MEND)
                if answer.status < 400:
                    kept = "in the bucket" if len(stage.outside.files) > before else "where STORAGE_URL says"
                    return f"a picture sent by {page.path} is kept {kept}"
    raise StepLeftOut("no form of this site takes a file")


UPLOAD_MEND = "set STORAGE_URL to a bucket, or to database: (docs/files.md)"


async def _pages(stage: Stage) -> AsyncIterator[tuple[Visitor, Page]]:
    """The pages that somebody finds from the first one, and the forms of the admin."""
    for who, start, wanted in ((stage.visitor, "/", None), (stage.superuser, "/admin", CREATE_LINK)):
        first = await who.get(start)
        found = dict.fromkeys([start, *map(_path, first.links)])
        if wanted:
            found = dict.fromkeys(path.replace("/list", "/create") for path in found if LIST_LINK.search(path))
        own = [path for path in found if wanted or not path.startswith(("/admin", "/accounts/log", "/api", "http"))]
        for path in own[:MAX_PAGES]:
            yield who, await who.get(path)


def _path(url: str) -> str:
    return urlsplit(url).path


async def stream(stage: Stage) -> str:
    """An answer of a language model, in a stream that the host cuts."""
    answer, path, wanted = await _asked(stage)
    await read_answer(stage.visitor.client, path, answer, STREAM_TIMEOUT_SECONDS + len(wanted))
    _require_whole(answer, wanted)
    cuts = answer.connections - 1
    times = f"was cut {cuts} times and went on where it was" if cuts else "came in one piece"
    return f"{len(wanted.split())} words; it {times}"


async def _asked(stage: Stage) -> tuple[StreamedAnswer, str, str]:
    """A question that the site has taken: where its answer streams, and what it is to be.

    Raises:
        StepLeftOut: no address of the site answers with a stream's.
        StepFailed: it refuses.
    """
    if stage.asking is None:
        raise StepLeftOut("no address of this site answers a question with a stream (202 with a stream_url)")
    body = dict.fromkeys(stage.asking.fields, f"Rehearsal: say {WORDS} words.")
    headers = {"Origin": stage.base_url, "Accept": "application/json"}
    response = await stage.visitor.client.post(stage.asking.path, json=body, headers=headers)
    if response.status_code != 202:
        words = f"{stage.asking.path} is answered {response.status_code} {response.text[:200]}"
        raise StepFailed(words, "see the log (--keep), and docs/llm.md")
    return StreamedAnswer(), response.json()["stream_url"], spoken(WORDS)


def _require_whole(answer: StreamedAnswer, wanted: str) -> None:
    came = len(answer.text.split())
    if answer.end == "done" and answer.text.strip() == wanted:
        return
    if not answer.end:
        raise StepFailed(
            f"the stream ended after {came} of {len(wanted.split())} words and {answer.connections} connections, "
            f"without `done`{f' ({answer.refusal})' if answer.refusal else ''}",
            "give every event an id, and go on from Last-Event-ID: `answers.ask` does both (docs/llm-pages.md)",
        )
    said = str(answer.said.get("message") or answer.said.get("error") or "")[:200]
    raise StepFailed(
        f"{came} of {len(wanted.split())} words came, then `{answer.end}` {said}".strip(),
        "a stream that is cut must go on where it was: `answers.ask` stores it while it grows (docs/llm-pages.md)",
    )


async def redeploy(stage: Stage) -> str:
    """A new version while an answer is being written: the old process gets its signal and its grace."""
    asked, left_out = None, ""
    try:
        asked = await _asked(stage)
    except StepLeftOut:
        left_out = "; no answer was on its way, as this site has none"
    reading = None
    if asked:
        reading = asyncio.create_task(
            read_answer(stage.visitor.client, asked[1], asked[0], STREAM_TIMEOUT_SECONDS + stage.rules.stop_seconds)
        )
    try:
        old = _running(stage)
        new = await stage.start()
        stage.instance, stage.router.site_port = new, new.port
        took = await old.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
        if reading:
            await reading
    finally:
        if reading:
            reading.cancel()
    if old.was_killed and stage.rules.stop_seconds:
        raise StepFailed(
            f"the old process was still there {took:.1f} s after {stage.rules.host.stop_signal}, and was killed",
            "end what runs when `shutting_down(app)` is set, and set ANSWER_GRACE_SECONDS below what the host gives",
        )
    if asked:
        _require_whole(asked[0], asked[2])
        left_out = f"; the answer is whole, after {asked[0].connections} connections"
    return f"the old process ended {took:.1f} s after {stage.rules.host.stop_signal}{left_out}"


async def still_there(stage: Stage) -> str:
    """Whether who signed up before the deploy can sign in after it."""
    async with Visitor(stage.base_url, stage.certificate, stage.visitor.address) as returned:
        if not await _is_let_in(stage, returned):
            raise StepFailed(
                "who signed up before the deploy is not known after it",
                "set DATABASE_URL to PostgreSQL: this host throws its disk away with each deploy",
            )
    return "who signed up before the deploy signs in after it"


async def sleep_and_wake(stage: Stage) -> str:
    """The site and its database fall asleep, and a visitor comes."""
    if stage.rules.host.sleeps_after_seconds is None:
        await stage.gate.sleep()
    else:
        await stage.sleep()
    begun = time.monotonic()
    statuses = []
    while time.monotonic() - begun < stage.rules.start_seconds:
        page = await stage.visitor.get("/accounts/events")
        statuses.append(page.status)
        if page.status == 200:
            if not page.path.endswith("/events"):
                raise StepFailed("who was signed in is not after sleep", "set DATABASE_URL to PostgreSQL")
            who = "site and database" if stage.rules.host.sleeps_after_seconds else "the database"
            friendly = f", after {len(statuses) - 1} pages that said to wait" if len(statuses) > 1 else ""
            return f"{who} slept, and the page came after {time.monotonic() - begun:.1f} s{friendly}"
        if page.status not in (502, 503, 504):
            break
        await asyncio.sleep(PORT_SECONDS)
    raise StepFailed(f"after sleep the page was answered {statuses[-1]}", "see the log (--keep), and docs/databases.md")


async def leave(stage: Stage) -> str:
    """The last stop, and what the site has left behind."""
    instance = _running(stage)
    took = await instance.stop(stage.rules.host.stop_signal, stage.rules.stop_seconds)
    stage.instance = None
    peak = max(each.peak_memory_bytes for each in stage.launcher.instances)
    if (written := stage.launcher.written()) and not stage.rules.host.keeps_disk:
        raise StepFailed(
            f"the site wrote {', '.join(written[:3])} into its tree, which the next deploy throws away",
            "write to STORAGE_URL what is kept, and to tempfile's folder what is not",
        )
    held = f" of {stage.rules.host.memory_bytes // 1024**2}" if stage.rules.host.memory_bytes else ""
    memory = f"; {peak / 1024**2:.0f}{held} MB of memory at most" if peak else ""
    return f"stopped {took:.1f} s after {stage.rules.host.stop_signal}{memory}"


def _running(stage: Stage) -> Instance:
    if stage.instance is None:
        raise StepFailed("the site does not run", "see above")
    return stage.instance


Step = Callable[[Stage], Awaitable[str]]
STEPS: dict[str, Step] = {
    "first start": first_start,
    "first superuser": first_superuser,
    "sign-up by mail": sign_up,
    "visitor's address": visitor_address,
    "admin": admin,
    "upload": upload,
    "stream": stream,
    "redeploy": redeploy,
    "what is kept": still_there,
    "sleep and wake": sleep_and_wake,
    "stop": leave,
}


async def walk(stage: Stage) -> AsyncIterator[Result]:
    """Go through all of it; where the site does not even start, that is all."""
    for name, step in STEPS.items():
        result = await _taken(name, step, stage)
        yield result
        if step is first_start and result.outcome is Outcome.FAILED:
            return


async def _taken(name: str, step: Step, stage: Stage) -> Result:
    try:
        return Result(name, Outcome.PASSED, await step(stage))
    except StepLeftOut as reason:
        return Result(name, Outcome.LEFT_OUT, str(reason))
    except StepFailed as failure:
        return Result(name, Outcome.FAILED, failure.text, failure.mend)
    except httpx.HTTPError as error:
        said = stage.instance.said if stage.instance else ""
        return Result(name, Outcome.FAILED, f"no answer: {str(error) or type(error).__name__}", mend_for(said))
