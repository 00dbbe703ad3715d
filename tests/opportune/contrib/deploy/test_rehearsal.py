"""Single steps of a rehearsal with minimal sites.

`.ci/run rehearsals` runs all steps with the whole site. `python3 oppman.py deploy rehearse --all` does that for every
host, and `--full` uses their real time limits.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from opportune.config.hosts import HOSTS
from opportune.contrib.deploy.rehearsal import limits, process
from opportune.contrib.deploy.rehearsal.answer_steps import StreamedAnswer, read_answer, require_complete
from opportune.contrib.deploy.rehearsal.fakes import Services, model_answer
from opportune.contrib.deploy.rehearsal.host_rules import HostRules
from opportune.contrib.deploy.rehearsal.network import SiteRelay
from opportune.contrib.deploy.rehearsal.process import Launcher
from opportune.contrib.deploy.rehearsal.rehearse import Rehearsal
from opportune.contrib.deploy.rehearsal.stage import Outcome, Result, StepFailed
from opportune.testing.services.postgres import Postgres
from opportune.testing.services.web_server import serving

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rehearsals need Linux or macOS")

BAD_SITE = Path(__file__).with_name("bad_site.py")
NO_LIMITS = limits.Limits(None, None)


async def run(rehearsal: Rehearsal) -> tuple[str, dict[str, Result]]:
    """Return the description of the set-up and the results by step."""
    lines: list[str] = []
    results = {result.step: result async for result in rehearsal.run(lines.append)}
    return lines[0], results


@pytest.mark.parametrize(
    ("fault", "text", "fix"),
    [
        ("slow", "did not return 200 within 1 s", "do less before the port opens"),
        ("sqlite", "unable to open database file", "set DATABASE_URL to PostgreSQL"),
        ("writes", "returns 502", "the disk is read-only"),
    ],
)
async def test_fault_names_its_fix(postgres_server: Postgres, tmp_path: Path, fault: str, text: str, fix: str) -> None:
    (tmp_path / "site.py").write_bytes(BAD_SITE.read_bytes())
    rules = replace(HostRules.for_host(HOSTS["leapcell-persistent"]), start_seconds=1.0 if fault == "slow" else 60.0)
    _, results = await run(Rehearsal(rules, tmp_path, postgres_server, command=(sys.executable, "site.py", fault)))
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

        router = SiteRelay(wake, lambda _: None, total_seconds=0.35)
        async with router.listening(), httpx2.AsyncClient(base_url=f"http://127.0.0.1:{router.port}") as client:
            answer = StreamedAnswer("/a/stream", model_answer(6))
            await read_answer(client, answer, 10 if resumes else 1.5)
    assert answer.connections > 1
    if resumes:
        require_complete(answer)
    else:
        with pytest.raises(StepFailed, match="without `done`"):
            require_complete(answer)


@pytest.mark.parametrize(("host", "is_kept"), [("render", False), ("linux", True)])
def test_deploy_resets_the_disk_unless_the_host_keeps_it(tmp_path: Path, host: str, is_kept: bool) -> None:
    project, folder = tmp_path / "project", tmp_path / "rehearsal"
    (project / "data").mkdir(parents=True)
    (project / "data/app.db").write_text("the project's own")
    (project / ".env").write_text("SECRET_KEY=theirs")
    for name, target in (("uploads", tmp_path), ("drafts", project / "data"), ("more", "../uploads")):
        (project / name).symlink_to(target)
    folder.mkdir()
    launcher = Launcher(HostRules.for_host(HOSTS[host]), NO_LIMITS, project, folder, {})
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


def test_disk_is_called_read_only_if_nothing_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_unshare_command", lambda: None)
    (tmp_path / "project").mkdir()
    launcher = Launcher(HostRules.for_host(HOSTS["leapcell"]), NO_LIMITS, tmp_path / "project", tmp_path, {})
    with suppress(PermissionError):
        (launcher.tree / "file").touch()
    assert launcher.tree_description.startswith("a writable") is (launcher.tree / "file").exists()


@pytest.mark.parametrize("url", ["sqlite:////srv/app.db", "SQLite+aiosqlite:////srv/app.db"])
def test_production_services_are_not_used(tmp_path: Path, postgres_server: Postgres, url: str) -> None:
    """A rehearsal may run on the machine of the real site."""
    (tmp_path / ".env.production").write_text(
        f"DATABASE_URL={url}\nDATABASE_DIRECT_URL=psql 'postgresql://u:p@real/db'\nDATABASE_READER_URL=POSTGRES://real\n"
        "OTHER_DATABASE_URL=jdbc:postgresql://real/db\nCACHE_URL=REDIS://real\nSTORAGE_URL=file:%2Fsrv/uploads\n"
        "HEARTBEAT_URL=https://real\nBACKUP_URL=File:a/../../srv/a\nMAIL_URL=resend://real\nSECRET_KEY=real\nSITE_NAME=Ours\n"
    )
    rehearsal = Rehearsal(HostRules.for_host(HOSTS["linux"]), tmp_path, postgres_server)
    environ = rehearsal.environment("https://127.0.0.1", "", 2, Services(), tmp_path / "pem")
    assert (environ["DATABASE_URL"], environ["SITE_NAME"]) == ("sqlite:///data/app.db", "Ours")
    assert environ["STORAGE_URL"].startswith("s3://rehearsal:")
    assert not [value for value in environ.values() if "real" in value or "/srv" in value]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_children_is_limited_without_control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CGROUPS", tmp_path)
    code = "import os, sys; os.fork() and os.wait(); memory = b'x' * 100_000_000; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True) as program:
        limits.Limits(64 * 1024**2, None).apply_to(program.pid)
        assert program.wait(60) == -signal.SIGKILL
