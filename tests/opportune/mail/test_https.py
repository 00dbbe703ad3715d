"""E-mail through HTTP APIs of providers. The fakes follow the documentation of the providers."""

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from opportune.errors import OperatorError
from opportune.jobs import JobContext, PermanentFailure, RetryLater
from opportune.mail import https
from opportune.mail.delivery import send_email, send_email_job
from opportune.mail.factory import transport_for
from opportune.mail.transport import DeliveryError, PermanentDeliveryError
from opportune.services.clock import clock
from tests.opportune.mail.conftest import email_to, settings_with
from tests.opportune.mail.providers import FILE, PICTURE, EndlessBody, FakeApi, newsletter, parse_form, parse_mime

KEY = "hunter2-Key/+="
RESEND, POSTMARK, BREVO = f"resend://{KEY}", f"postmark://{KEY}", f"brevo://{KEY}"
MAILGUN, AMAZON = f"mailgun://{KEY}@mg.example.org?region=eu", f"ses://hunter2ID:{KEY}@eu-west-1"
CONFIRMATION_FIELDS = {RESEND: "id", POSTMARK: "MessageID", BREVO: "messageId", MAILGUN: "id", AMAZON: "MessageId"}
each_provider = pytest.mark.parametrize("url", CONFIRMATION_FIELDS)
FakeResponses = Callable[..., FakeApi]


@pytest.fixture
def fake_api(monkeypatch: pytest.MonkeyPatch) -> FakeResponses:
    """Return a function that replaces all providers by a fake with these responses."""

    def fake(*responses: httpx2.Response | Exception) -> FakeApi:
        api = FakeApi([*responses])
        monkeypatch.setattr(https, "open_client", api.client)
        return api

    return fake


def accepted_response(url: str) -> httpx2.Response:
    return httpx2.Response(200, json={CONFIRMATION_FIELDS[url]: "<1@provider.example>"})


async def send(url: str, message: EmailMessage | None = None) -> None:
    await transport_for(settings_with(url)).send(message or newsletter(picture=url != BREVO))


async def expect_temporary_error(url: str, message: str) -> None:
    with pytest.raises(DeliveryError, match=message) as error:
        await send(url)
    assert type(error.value) is DeliveryError


async def test_resend_request(fake_api: FakeResponses) -> None:
    api = fake_api(accepted_response(RESEND))
    await send(RESEND)
    (request,) = api.requests
    assert request.url == "https://api.resend.com/emails"
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["Idempotency-Key"] == "<0123@example.org>"
    assert api.json == {
        "from": "Zoë & Söhne Ltd <site@example.org>",
        "to": ["=?utf-8?q?Lovelace=2C_Ada?= <ada@example.com>", "=?utf-8?q?Zo=C3=AB?= <zoe@example.com>"],
        "cc": ["cc@example.com"],
        "bcc": ["bcc@example.com"],
        "reply_to": ["Help <help@example.org>"],
        "subject": "Żółw",
        "text": "Zoë\n.\nEnd\n",
        "html": '<p>Zoë <img src="cid:logo"></p>\n',
        "headers": {"List-Unsubscribe": "<https://example.org/out>"},
        "attachments": [
            {"filename": "logo.png", "content": in_base64(PICTURE), "content_type": "image/png", "content_id": "logo"},
            {"filename": "Über.pdf", "content": in_base64(FILE), "content_type": "application/pdf"},
        ],
    }


async def test_postmark_request(fake_api: FakeResponses) -> None:
    api = fake_api(httpx2.Response(200, json={"MessageID": "1", "ErrorCode": 0, "Message": "OK"}))
    await send(POSTMARK)
    (request,) = api.requests
    assert request.url == "https://api.postmarkapp.com/email"
    assert request.headers["X-Postmark-Server-Token"] == KEY
    assert api.json == {
        "From": "=?utf-8?b?Wm/DqyAmIFPDtmhuZSwgTHRk?= <site@example.org>",
        "To": '"Lovelace, Ada" <ada@example.com>, =?utf-8?q?Zo=C3=AB?= <zoe@example.com>',
        "Cc": "cc@example.com",
        "Bcc": "bcc@example.com",
        "ReplyTo": "Help <help@example.org>",
        "Subject": "Żółw",
        "TextBody": "Zoë\n.\nEnd\n",
        "HtmlBody": '<p>Zoë <img src="cid:logo"></p>\n',
        "Headers": [{"Name": "List-Unsubscribe", "Value": "<https://example.org/out>"}],
        "Attachments": [
            {"Name": "logo.png", "Content": in_base64(PICTURE), "ContentType": "image/png", "ContentID": "cid:logo"},
            {"Name": "Über.pdf", "Content": in_base64(FILE), "ContentType": "application/pdf"},
        ],
        "TrackLinks": "None",
    }


async def test_brevo_request(fake_api: FakeResponses) -> None:
    api = fake_api(httpx2.Response(201, json={"messageId": "<1@smtp-relay.mailin.fr>"}))
    with pytest.raises(PermanentDeliveryError, match="does not accept inline pictures"):
        await send(BREVO, newsletter())
    await send(BREVO)
    (request,) = api.requests
    assert request.url == "https://api.brevo.com/v3/smtp/email"
    assert request.headers["api-key"] == KEY
    assert api.json == {
        "sender": {"email": "site@example.org", "name": "=?utf-8?b?Wm/DqyAmIFPDtmhuZSwgTHRk?="},
        "to": [{"email": "ada@example.com", "name": "Lovelace, Ada"}, {"email": "zoe@example.com", "name": "Zoë"}],
        "cc": [{"email": "cc@example.com"}],
        "bcc": [{"email": "bcc@example.com"}],
        "replyTo": {"email": "help@example.org", "name": "Help"},
        "subject": "Żółw",
        "textContent": "Zoë\n.\nEnd\n",
        "htmlContent": '<p>Zoë <img src="cid:logo"></p>\n',
        "headers": {"List-Unsubscribe": "<https://example.org/out>", "Idempotency-Key": "<0123@example.org>"},
        "attachment": [{"name": "Über.pdf", "content": in_base64(FILE)}],
    }


async def test_mailgun_and_amazon_requests_have_mime_and_bcc(fake_api: FakeResponses) -> None:
    api = fake_api(accepted_response(MAILGUN), accepted_response(AMAZON))
    for url in (MAILGUN, AMAZON):
        await send(url)
    mailgun, amazon = api.requests
    assert mailgun.url == "https://api.eu.mailgun.net/v3/mg.example.org/messages.mime"
    assert b64decode(mailgun.headers["Authorization"].removeprefix("Basic ")).decode() == f"api:{KEY}"
    form = parse_form(mailgun)
    assert form["to"] == [b"ada@example.com", b"zoe@example.com", b"cc@example.com", b"bcc@example.com"]
    assert form["o:tracking"] == [b"no"]
    assert amazon.url == "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails"
    assert api.json["Destination"]["BccAddresses"] == ["bcc@example.com"]
    assert len(api.json["Destination"]["ToAddresses"]) == 2
    for request in (mailgun, amazon):
        message = parse_mime(request)
        assert message["Bcc"] is None
        assert (message["Subject"], message["Message-ID"]) == ("Żółw", "<0123@example.org>")
        assert message["List-Unsubscribe"] == "<https://example.org/out>"
        assert str(message["From"]) == '"Zoë & Söhne, Ltd" <site@example.org>'
        assert [part.get_content() for part in message.iter_attachments()] == [FILE]
        text = message.get_body(("plain",))
        assert text
        assert cast("EmailMessage", text).get_content().splitlines() == ["Zoë", ".", "End"]


async def test_amazon_signature_is_that_of_botocore(fake_api: FakeResponses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_000_000_000)
    api = fake_api(accepted_response(AMAZON))
    await send(AMAZON)
    (request,) = api.requests
    names = ("content-type", "host", "x-amz-date")
    expected = AWSRequest("POST", str(request.url), data=request.content)
    for name in names:
        expected.headers[name] = request.headers[name]
    expected.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials("hunter2ID", KEY), "ses", "eu-west-1")
    signature = signer.signature(signer.string_to_sign(expected, signer.canonical_request(expected)), expected)
    assert request.headers["authorization"].endswith(f"SignedHeaders={';'.join(names)}, Signature={signature}")
    assert request.headers["x-amz-date"] == "20010909T014640Z"


@pytest.mark.parametrize(
    ("url", "status", "body", "type_", "message"),
    [
        (RESEND, 429, {"name": "rate_limit_exceeded", "message": "Too many requests."}, DeliveryError, "429 Too many"),
        (RESEND, 422, {"message": "Invalid `to` field."}, PermanentDeliveryError, "422 Invalid `to` field."),
        (RESEND, 500, None, DeliveryError, "refused the e-mail: 500."),
        (POSTMARK, 422, {"ErrorCode": 406, "Message": "Inactive."}, PermanentDeliveryError, "422 Inactive."),
        (POSTMARK, 422, {"ErrorCode": 413, "Message": "Account may not send."}, DeliveryError, "may not send"),
        (BREVO, 402, {"code": "not_enough_credits", "message": "No credits."}, DeliveryError, "402 No credits."),
        (BREVO, 400, {"message": "email is not valid in to"}, PermanentDeliveryError, "400 email is not valid in to."),
        (MAILGUN, 400, {"message": "to parameter is not a valid address"}, PermanentDeliveryError, "400 to parameter"),
        (AMAZON, 400, {"message": "Email address is not verified."}, PermanentDeliveryError, "400 Email address"),
        (AMAZON, 403, {"message": f"The signature of {KEY} is wrong."}, DeliveryError, "403 The signature of … is"),
    ],
)
async def test_refusal_is_temporary_or_permanent(
    fake_api: FakeResponses, url: str, status: int, body: Any, type_: type[DeliveryError], message: str
) -> None:
    fake_api(httpx2.Response(status, json=body))
    with pytest.raises(DeliveryError) as error:
        await send(url)
    assert type(error.value) is type_
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)


@each_provider
async def test_wrong_key_is_temporary_and_not_shown(
    fake_api: FakeResponses, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    fake_api(httpx2.Response(401, json={"message": f"{KEY} is wrong"}))
    transport = transport_for(settings_with(url))
    with pytest.raises(DeliveryError, match=r"does not accept the key of MAIL_URL \(401\)\.$") as error:
        await transport.send(newsletter(picture=False))
    assert type(error.value) is DeliveryError
    assert error.value.__cause__ is None
    assert "hunter2" not in f"{error.value} {transport!r} {transport.name} {vars(transport)['url']!r} {caplog.text}"


@pytest.mark.parametrize("url", [RESEND, POSTMARK])
async def test_response_without_message_id_is_an_error(fake_api: FakeResponses, url: str) -> None:
    fake_api(httpx2.Response(200, json={"ErrorCode": 0, "message": "it was not sent"}))
    await expect_temporary_error(url, r"did not confirm the e-mail: 200 it was not sent\.$")


@pytest.mark.parametrize(
    "response",
    [
        *(httpx2.Response(200, text="Mailgun Magnificent API"), httpx2.Response(202, json=["id"]), EndlessBody()),
        *(httpx2.Response(302, headers={"Location": "https://elsewhere.example/"}), httpx2.ReadError("reset")),
    ],
    ids=["text", "list", "endless", "redirect", "reset"],
)
async def test_broken_response_is_temporary(
    fake_api: FakeResponses, response: httpx2.Response | Exception | EndlessBody
) -> None:
    api = fake_api(httpx2.Response(200, stream=response) if isinstance(response, EndlessBody) else response)
    await expect_temporary_error(MAILGUN, r"did not confirm the e-mail|does not respond: \S")
    assert len(api.requests) == 1


async def test_silent_provider_times_out(fake_api: FakeResponses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(https, "DELIVERY_TIMEOUT_SECONDS", 0.02)
    fake_api(httpx2.Response(200, stream=EndlessBody(asyncio.Event().wait)))
    with pytest.raises(DeliveryError, match=r"^Resend did not respond in time\.$"):
        await send(RESEND)


async def test_job_retries_unless_the_refusal_is_permanent(fake_api: FakeResponses) -> None:
    run = cast("JobContext", SimpleNamespace(attempt=1, settings=settings_with(RESEND)))
    refusals = (httpx2.Response(status) for status in (503, 422))
    delayed = httpx2.Response(429, headers={"Retry-After": "90"}, json={})
    fake_api(delayed, *refusals, accepted_response(RESEND))
    with pytest.raises(RetryLater, match="429") as later:
        await send_email_job.function(run, vars(email_to()))
    assert later.value.seconds == 90
    with pytest.raises(DeliveryError, match="503"):
        await send_email_job.function(run, vars(email_to()))
    with pytest.raises(PermanentFailure, match="422"):
        await send_email_job.function(run, vars(email_to()))
    with pytest.raises(PermanentFailure, match="is not a valid e-mail address"):
        await send_email_job.function(run, vars(email_to()) | {"to": "nobody"})
    await send_email_job.function(run, vars(email_to()))


async def test_unsupported_address_is_refused_without_a_request(fake_api: FakeResponses) -> None:
    api = fake_api(accepted_response(RESEND))
    await send_email(settings_with(RESEND), email_to("Zoë <zoe@bücher.example>", html="<p>Zoë</p>"))
    for email in (email_to("zoë@example.com"), email_to(reply_to="zoë@example.com")):
        with pytest.raises(PermanentDeliveryError, match="does not accept addresses like zoë@"):
            await send_email(settings_with(RESEND), email)
    assert len(api.requests) == 1


@each_provider
async def test_check_posts_an_email_without_recipient(fake_api: FakeResponses, url: str) -> None:
    api = fake_api(httpx2.Response(400, json={"message": "to is missing"}), httpx2.Response(401), httpx2.Response(500))
    transport = transport_for(settings_with(url))
    await transport.check()
    assert b"@" not in api.requests[0].content
    for message in ("does not accept the key", "500"):
        with pytest.raises(DeliveryError, match=message):
            await transport.check()


INVALID_URLS = """
    resend:// resend:hunter2 resend://hunter2?region=eu mailgun://hunter2@mg.example.org/../evil
    mailgun://hunter2@mg.example.org?region=hunter2 ses://ID:hunter2@evil.example.org no.such.module:Class://hunter2
"""


@pytest.mark.parametrize("url", ["resend://hun ter2", *INVALID_URLS.split()])
def test_error_of_invalid_provider_url_hides_the_key(url: str) -> None:
    with pytest.raises(OperatorError, match=r"^MAIL_URL.*\.$") as error:
        transport_for(settings_with(url))
    assert "hunter2" not in str(error.value)


def in_base64(content: bytes) -> str:
    return b64encode(content).decode()
