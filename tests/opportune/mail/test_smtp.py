"""Against a real mail server on this machine."""

import base64
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from opportune.mail import smtp
from opportune.mail.delivery import send_email
from opportune.mail.errors import DeliveryError, PermanentDeliveryError
from opportune.mail.factory import transport_for
from opportune.testing.services.certificate import make_certificate
from opportune.testing.services.smtp import PASSWORD, USER, smtp_server
from tests.opportune.mail.conftest import email_to, settings_with

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate that this machine trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    return certificate


async def test_an_email_arrives_as_it_was_written() -> None:
    async with smtp_server() as mail_server:
        email = email_to("Zoë <zoe@example.com>", subject="Żółw", text="One.\n.\nTwo: Zoë\n", html="<p>Zoë</p>")
        await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}"), email)
    (message,) = mail_server.received
    assert (message["Subject"], message["To"].addresses[0].display_name) == ("Żółw", "Zoë")
    assert message["Message-ID"] == email.message_id
    text = message.get_body(("plain",))
    assert text
    assert text.get_content().replace("\r\n", "\n") == "One.\n.\nTwo: Zoë\n"


async def test_an_address_that_is_not_ascii_arrives() -> None:
    async with smtp_server() as mail_server:
        await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}"), email_to("zoë@bücher.example.com"))
    assert mail_server.received[0]["To"].addresses[0].addr_spec == "zoë@xn--bcher-kva.example.com"


async def test_tls_is_used_where_the_server_offers_it(trusted: tuple[Path, Path]) -> None:
    async with smtp_server(certificate=trusted, has_users=True) as mail_server:
        await send_email(settings_with(f"smtp://{LOGIN}127.0.0.1:{mail_server.port}"), email_to())
    assert mail_server.was_encrypted


async def test_tls_from_the_first_byte(trusted: tuple[Path, Path]) -> None:
    async with smtp_server(certificate=trusted, implicit=True) as mail_server:
        await send_email(settings_with(f"smtps://localhost:{mail_server.port}"), email_to())
    assert mail_server.was_encrypted


async def test_a_server_without_tls_gets_no_email_where_tls_is_required() -> None:
    async with smtp_server(has_users=True) as mail_server:
        with pytest.raises(PermanentDeliveryError, match=r"STARTTLS extension not supported by server\.$"):
            await send_email(settings_with(f"smtp://{LOGIN}127.0.0.1:{mail_server.port}?tls=required"), email_to())
    assert mail_server.received == []


async def test_a_certificate_that_nobody_vouches_for_is_not_accepted(certificate: tuple[Path, Path]) -> None:
    async with smtp_server(certificate=certificate) as mail_server:
        with pytest.raises(DeliveryError, match="certificate verify failed"):
            await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}"), email_to())
        await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}?tls=none"), email_to())
    assert len(mail_server.received) == 1


async def test_a_wrong_password_is_named_and_not_shown() -> None:
    async with smtp_server(has_users=True) as mail_server:
        with pytest.raises(DeliveryError, match=r"does not accept the user and password of MAIL_URL \(535\)") as told:
            await send_email(settings_with(f"smtp://{USER}:hunter2@127.0.0.1:{mail_server.port}"), email_to())
    assert type(told.value) is DeliveryError, "the e-mails wait until that is put right"
    assert "hunter2" not in str(told.value)
    assert base64.b64encode(f"\0{USER}\0hunter2".encode()).decode() not in str(told.value)
    assert told.value.__cause__ is None


@pytest.mark.parametrize("where", ["reply_to_recipient", "reply_to_message"])
@pytest.mark.parametrize(
    ("answer", "kind"), [("451 Greylisted, come again", DeliveryError), ("550 No such box", PermanentDeliveryError)]
)
async def test_a_refusal_for_now_is_told_from_one_for_good(where: str, answer: str, kind: type[DeliveryError]) -> None:
    async with smtp_server() as mail_server:
        setattr(mail_server, where, answer)
        with pytest.raises(DeliveryError, match=answer[:3]) as told:
            await send_email(settings_with(f"smtp://127.0.0.1:{mail_server.port}"), email_to())
    assert type(told.value) is kind


async def test_a_server_that_repeats_the_password_is_not_quoted_with_it() -> None:
    async with smtp_server(has_users=True) as mail_server:
        mail_server.reply_to_message = f"451 {PASSWORD} is wrong"
        with pytest.raises(DeliveryError, match="451 … is wrong") as told:
            await send_email(settings_with(f"smtp://{LOGIN}127.0.0.1:{mail_server.port}"), email_to())
    assert PASSWORD not in str(told.value)


async def test_a_connection_that_is_cut_in_the_middle_is_tried_again() -> None:
    async with smtp_server() as mail_server:
        mail_server.cut = True
        settings, email = settings_with(f"smtp://127.0.0.1:{mail_server.port}"), email_to()
        with pytest.raises(DeliveryError, match="does not answer") as told:
            await send_email(settings, email)
        assert not isinstance(told.value, PermanentDeliveryError)
        mail_server.cut = False
        await send_email(settings, email)
    assert [message["Message-ID"] for message in mail_server.received] == [email.message_id]


async def test_a_server_that_is_away_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # nobody listens on it
        with pytest.raises(DeliveryError, match=f"^The mail server 127.0.0.1:{port} does not answer: .*$"):
            await send_email(settings_with(f"smtp://127.0.0.1:{port}"), email_to())


async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "DELIVERY_TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = settings_with(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DeliveryError, match="does not answer: it takes too long"):
            await send_email(settings, email_to())


async def test_a_check_signs_in_and_sends_nothing() -> None:
    async with smtp_server(has_users=True) as mail_server:
        await transport_for(settings_with(f"smtp://{LOGIN}127.0.0.1:{mail_server.port}?tls=none")).check()
        with pytest.raises(DeliveryError, match="does not accept the user and password"):
            await transport_for(settings_with(f"smtp://{USER}:hunter2@127.0.0.1:{mail_server.port}?tls=none")).check()
    assert mail_server.received == []


@pytest.mark.parametrize(
    ("port", "is_open", "words"),
    [
        (587, False, "Many hosts shut port 587: try port 2525, or mail over HTTPS (docs/mail.md)."),
        (465, True, "Port 2525 of it can be reached from here: write that into MAIL_URL."),
        (2525, True, ""),
    ],
)
async def test_where_a_host_shuts_a_port_other_ways_are_named(
    monkeypatch: pytest.MonkeyPatch, port: int, words: str, *, is_open: bool
) -> None:
    class Opened:
        def close(self) -> None: ...

    async def knock(host: str, port: int) -> tuple[None, Opened]:
        assert (host, port) == ("mail.example.org", 2525)
        if not is_open:
            raise OSError("shut")
        return None, Opened()

    def unreachable(_self: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("aiosmtplib.SMTP.__aenter__", unreachable)
    monkeypatch.setattr("asyncio.open_connection", knock)
    with pytest.raises(DeliveryError, match=r"does not answer: it takes too long") as told:
        # A short password is in our own words, too, which stay whole.
        await transport_for(settings_with(f"smtp://a:port@mail.example.org:{port}")).check()
    assert str(told.value).removesuffix(words).endswith("it takes too long. " if words else "it takes too long.")
