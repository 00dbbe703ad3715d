"""Delivery to a real SMTP server on this machine."""

import asyncio
import base64
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from opportune.contrib.deploy.rehearsal.certificates import make_certificate
from opportune.mail import EmailMessage, send_email, smtp
from opportune.mail.factory import transport_for
from opportune.mail.transport import DeliveryError, PermanentDeliveryError
from tests.opportune.mail.conftest import email_to, settings_with
from tests.opportune.mail.smtp_server import PASSWORD, USER, smtp_server

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


async def send_to(port: int, email: EmailMessage | None = None, login: str = "", query: str = "") -> None:
    await send_email(settings_with(f"smtp://{login}127.0.0.1:{port}{query}"), email or email_to())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Certificate that this process trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


async def test_email_arrives_unchanged() -> None:
    async with smtp_server() as mail_server:
        email = email_to("Zoë <zoe@example.com>", subject="Żółw", text="One.\n.\nTwo: Zoë\n", html="<p>Zoë</p>")
        await send_to(mail_server.port, email)
        await send_to(mail_server.port, email_to("zoë@bücher.example.com"))
    message, other = mail_server.received
    assert other["To"].addresses[0].addr_spec == "zoë@xn--bcher-kva.example.com"
    assert (message["Subject"], message["To"].addresses[0].display_name) == ("Żółw", "Zoë")
    assert message["Message-ID"] == email.message_id
    text = message.get_body(("plain",))
    assert text
    assert text.get_content().replace("\r\n", "\n") == "One.\n.\nTwo: Zoë\n"


async def test_hidden_recipient_gets_the_email() -> None:
    async with smtp_server() as mail_server:
        await send_to(mail_server.port, email_to(cc="bob@example.com", bcc="cid@example.com"))
    assert mail_server.recipients == ["ada@example.com", "bob@example.com", "cid@example.com"]
    assert (mail_server.received[0]["Cc"], mail_server.received[0]["Bcc"]) == ("bob@example.com", None)


async def test_refused_recipient_among_others_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with smtp_server() as mail_server:
        mail_server.refused_recipient = "bob@example.com"
        await send_to(mail_server.port, email_to(["ada@example.com", "bob@example.com"]))
    assert mail_server.recipients == ["ada@example.com"]
    assert "did not reach 1 of its recipients: Unknown recipient" in caplog.text
    assert "bob@example.com" not in caplog.text


async def test_offered_and_implicit_tls_are_used(trusted: Path) -> None:
    async with smtp_server(certificate=trusted, has_users=True) as offering:
        await send_to(offering.port, login=LOGIN)
    async with smtp_server(certificate=trusted, implicit=True) as encrypted:
        await send_email(settings_with(f"smtps://localhost:{encrypted.port}"), email_to())
    assert offering.was_encrypted
    assert encrypted.was_encrypted


async def test_required_tls_refuses_servers_without_it() -> None:
    async with smtp_server(has_users=True) as mail_server:
        with pytest.raises(DeliveryError, match=r"STARTTLS extension not supported by server\.$") as error:
            await send_to(mail_server.port, login=LOGIN, query="?tls=required")
    assert (type(error.value), mail_server.received) == (DeliveryError, [])


@pytest.mark.parametrize("accepted", [[], ["220 Hello", "250-localhost\r\n250 STARTTLS"]])
async def test_refused_connection_is_temporary(accepted: list[str]) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in [*accepted, "554 No service for you"]:
            writer.write(f"{reply}\r\n".encode())
            await reader.readline()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        with pytest.raises(DeliveryError, match="554 No service") as error:
            await send_to(server.sockets[0].getsockname()[1])
    assert type(error.value) is DeliveryError


async def test_email_is_repeated_if_one_of_its_recipients_may_get_it() -> None:
    async with smtp_server() as mail_server:
        mail_server.refused_recipient, mail_server.reply_to_recipient = "bob@example.com", "451 Later"
        with pytest.raises(DeliveryError, match="451 Later") as error:
            await send_to(mail_server.port, email_to(["bob@example.com", "ada@example.com"]))
    assert type(error.value) is DeliveryError


async def test_untrusted_certificate_is_refused(certificate: Path) -> None:
    async with smtp_server(certificate=certificate) as mail_server:
        with pytest.raises(DeliveryError, match=r"does not offer valid TLS: self-signed cert.*Check MAIL_URL"):
            await send_to(mail_server.port)
        await send_to(mail_server.port, query="?tls=none")
    assert len(mail_server.received) == 1


async def test_wrong_password_is_temporary_and_not_shown() -> None:
    async with smtp_server(has_users=True) as mail_server:
        with pytest.raises(DeliveryError, match=r"does not accept the user and password of MAIL_URL \(535\)") as error:
            await send_to(mail_server.port, login=f"{USER}:hunter2@")
    assert type(error.value) is DeliveryError
    assert "hunter2" not in str(error.value)
    assert base64.b64encode(f"\0{USER}\0hunter2".encode()).decode() not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize("command", ["reply_to_recipient", "reply_to_message"])
@pytest.mark.parametrize(
    ("reply", "type_"), [("530 Sign in first", DeliveryError), ("550 No such box", PermanentDeliveryError)]
)
async def test_refusal_is_temporary_or_permanent(command: str, reply: str, type_: type[DeliveryError]) -> None:
    async with smtp_server() as mail_server:
        setattr(mail_server, command, reply)
        with pytest.raises(DeliveryError, match=reply[:3]) as error:
            await send_to(mail_server.port)
    assert type(error.value) is type_


async def test_password_is_removed_from_quoted_messages() -> None:
    async with smtp_server(has_users=True) as mail_server:
        mail_server.reply_to_message = f"451 {PASSWORD} is wrong"
        with pytest.raises(DeliveryError, match="451 … is wrong") as error:
            await send_to(mail_server.port, login=LOGIN)
    assert PASSWORD not in str(error.value)


async def test_lost_connection_is_temporary() -> None:
    async with smtp_server() as mail_server:
        mail_server.cut = True
        with pytest.raises(DeliveryError, match="does not respond") as error:
            await send_to(mail_server.port)
        assert not isinstance(error.value, PermanentDeliveryError)
        mail_server.cut = False
        await send_to(mail_server.port)
    assert [message["Message-ID"] for message in mail_server.received] == [email_to().message_id]


async def test_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "DELIVERY_TIMEOUT_SECONDS", 0.05)
    too_long = pytest.raises(DeliveryError, match="does not respond: it takes too long")
    with socket.create_server(("127.0.0.1", 0)) as silent, too_long:
        await send_to(silent.getsockname()[1])


async def test_check_signs_in_without_sending() -> None:
    async with smtp_server(has_users=True) as mail_server:
        await transport_for(settings_with(f"smtp://{LOGIN}127.0.0.1:{mail_server.port}?tls=none")).check()
        with pytest.raises(DeliveryError, match="does not accept the user and password"):
            await transport_for(settings_with(f"smtp://{USER}:hunter2@127.0.0.1:{mail_server.port}?tls=none")).check()
    assert mail_server.received == []


async def test_blocked_port_has_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out(_self: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("aiosmtplib.SMTP.__aenter__", time_out)
    with pytest.raises(DeliveryError) as error:
        # The password `port` is not removed from our own message.
        await transport_for(settings_with("smtp://a:port@mail.example.org:587")).check()
    advice = "Many hosts block port 587. Try 2525, or mail over HTTPS (oppman.py docs mail)."
    assert str(error.value).endswith(f"does not respond: it takes too long. {advice}")
