"""Examples and figures of docs/mail.md."""

import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from opportune.jobs import JobCall
from opportune.mail import factory, https, mailbox, send_email
from tests.opportune.cli.conftest import Oppman, oppman
from tests.opportune.guides import code_blocks, read_guide, run_code
from tests.opportune.mail.conftest import WriteTemplate, email_to, settings_with
from tests.opportune.mail.providers import FakeApi

__all__ = ["oppman"]  # a fixture
GUIDE = read_guide("mail.md")
COMMANDS = re.findall(r"^(?:MAIL_URL=(\S+) )?python3 oppman\.py (.+)$", GUIDE, re.MULTILINE)


def test_example_queues_an_email(write_template: WriteTemplate) -> None:
    text, html = code_blocks(GUIDE, "jinja")
    write_template("mail/welcome.txt", text)
    write_template("mail/welcome.html", html)
    calls: list[JobCall[Any]] = []
    jobs = SimpleNamespace(check=lambda *_options: None, defer=lambda _session, call, **_options: calls.append(call))
    session = SimpleNamespace(info={"jobs": jobs})
    names = run_code(code_blocks(GUIDE)[0])
    names["welcome"](session, settings_with(), "Zoë", "zoe@example.com")
    ((email,),) = [call.arguments for call in calls]
    assert (email["to"], email["subject"]) == ("Zoë <zoe@example.com>", "Welcome, Zoë")
    assert email["text"].startswith("Dear Zoë,\n")
    assert email["html"].count("https://example.org/accounts/profile") == 1


def test_example_has_recipients_files_and_headers(write_template: WriteTemplate) -> None:
    write_template("mail/invoice.txt", "Subject: Invoice {{ number }}\n\nAttached.")
    email = run_code(code_blocks(GUIDE)[1])["invoice"](settings_with(), "zoe@example.com", b"%PDF")
    assert (email.recipients, email.bcc) == ("zoe@example.com, accounting@example.com", "archive@example.com")
    assert (email.attachments[0].content, email.attachments[0].content_type) == (b"%PDF", "application/pdf")


async def test_example_provider_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_code(code_blocks(GUIDE)[2])
    (url,) = re.findall(r"`MAIL_URL=(app\.\S+)`", GUIDE)
    module, _, name = url.partition("://")[0].partition(":")
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{name: names[name]}))
    api = FakeApi([httpx2.Response(202)])
    monkeypatch.setattr(https, "open_client", api.client)
    await send_email(settings_with(url), email_to("Zoë <zoe@example.com>", html="<p>A text.</p>"))
    assert api.requests[0].headers["Authorization"] == "Bearer KEY"
    assert api.json["personalizations"] == [{"to": [{"email": "zoe@example.com"}]}]
    assert [part["value"] for part in api.json["content"]] == ["A text.\n", "<p>A text.</p>\n"]
    assert api.json["headers"] == {"Auto-Submitted": "auto-generated"}


@pytest.mark.parametrize(("url", "arguments"), COMMANDS)
def test_commands_of_the_guide_run(
    oppman: Oppman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, arguments: str
) -> None:
    monkeypatch.setattr(factory, "PROJECT", tmp_path)
    monkeypatch.setattr(mailbox, "FOLDER", tmp_path / "data" / "mailbox")
    code, out, _ = oppman(*shlex.split(arguments), **({"MAIL_URL": url} if url else {}))
    assert code == 0
    assert out.count("Wrote an e-mail to") == len(shlex.split(arguments)) - 1
    assert (tmp_path / "data" / "mail").exists() == bool(url)
