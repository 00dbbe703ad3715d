"""Settings out of AWS Secrets Manager, which moto's server plays on this machine."""

import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from opportune.config import aws_secrets
from opportune.config.project import PROJECT, settings_class
from opportune.config.settings import Settings, load_settings
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import SettingsError

REGION = "eu-central-1"
PASSWORD = "p@ss/w:rd%?#[é"
RDS = {
    "engine": "postgres",
    "host": "site.abc.eu-central-1.rds.amazonaws.com",
    "port": 5433,
    "username": "site user",
    "password": PASSWORD,
    "dbname": "site",
    "dbInstanceIdentifier": "site",
}

Keep = Callable[..., str]
Answer = Callable[[Any], str]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes long, where tests are only collected

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def manager(endpoint: str) -> Any:
    from boto3 import Session  # noqa: PLC0415 - as above

    session = Session("testing", "testing", region_name=REGION)
    return session.client("secretsmanager", endpoint_url=endpoint)


@pytest.fixture(scope="module", autouse=True)
def _services_that_are_read_once() -> Iterator[None]:
    """What boto3 knows of AWS: each session would read it anew, which takes longer than a test."""
    from botocore import session  # noqa: PLC0415 - as above

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", cache(session.create_loader))
        yield


@pytest.fixture(autouse=True)
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No account, file or metadata of this machine has a say, nor what an earlier test has read."""
    aws_secrets.read_secret.cache_clear()
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setitem(settings_class().model_config, "env_file", tmp_path / ".env")


@pytest.fixture
def keep(request: pytest.FixtureRequest, manager: Any) -> Keep:
    """Store an object, a text or bytes, and give its ARN."""

    def keep(content: Any, name: str = "") -> str:
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        kind = "SecretBinary" if isinstance(text, bytes) else "SecretString"
        arn: str = manager.create_secret(Name=name or request.node.name, **{kind: text})["ARN"]
        return arn

    return keep


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let every secret hold this text or object, without the time that boto3 takes to ask for it."""

    def answer(content: Any) -> str:
        text = content if isinstance(content, str) else json.dumps(content)
        monkeypatch.setattr(aws_secrets, "_fetch", lambda _: text)
        return "site"

    return answer


def read(source: str) -> Settings:
    return load_settings(secrets_from=f"aws:{source}")


def refusal(source: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(secrets_from=source)
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


def test_a_secret_holds_settings_by_name_in_any_case(keep: Keep) -> None:
    arn = keep({"llm_api_key": "from AWS", "PORT": "1234", "Allowed_Hosts": "a.example, b.example", "unknown": {}})
    settings = read(arn)
    assert settings.llm_api_key.get_secret_value() == "from AWS"
    assert (settings.port, settings.allowed_hosts) == (1234, ["a.example", "b.example"])


def test_the_environment_wins_over_the_secret_and_the_secret_over_the_file(
    keep: Keep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep({"PORT": 1, "LLM_MODEL": "of the secret"}, name="order")
    (tmp_path / ".env").write_text("SECRETS_FROM=aws:order\nPORT=2\nLLM_MODEL=of the file\nLOG_FORMAT=json\n")
    monkeypatch.setenv("PORT", "3")
    settings = load_settings()
    assert (settings.port, settings.llm_model, settings.log_format) == (3, "of the secret", "json")
    assert load_settings(port=4).port == 4
    monkeypatch.setenv("SECRETS_FROM", "")
    assert load_settings().llm_model == "of the file"


def test_what_rds_keeps_becomes_the_database_and_not_the_address_to_listen_on(answer: Answer) -> None:
    settings = read(answer(RDS))
    url = DatabaseURL.parse(settings.database_url.get_secret_value()).url
    assert (url.host, url.port, url.database) == (RDS["host"], 5433, "site")
    assert (url.username, url.password, url.query["sslmode"]) == ("site user", PASSWORD, "require")
    assert (settings.host, settings.port) == ("", 8000)
    assert settings.database_reader_url.get_secret_value() == ""


@pytest.mark.parametrize("name", ["reader_host", "readerHost", "host-ro"])
def test_a_reader_host_beside_it_becomes_the_reader(answer: Answer, name: str) -> None:
    writer, reader = (
        DatabaseURL.parse(url.get_secret_value()).url
        for settings in [read(answer({**RDS, name: "reader.example"}))]
        for url in (settings.database_url, settings.database_reader_url)
    )
    assert reader == writer.set(host="reader.example")


def test_a_secret_may_leave_out_what_postgresql_has_by_default(answer: Answer) -> None:
    url = read(answer({"host": "db.example", "username": "u", "password": "p", "dbname": None})).database_url
    assert url.get_secret_value() == "postgresql://u:p@db.example:5432/postgres?sslmode=require"


@pytest.mark.parametrize(
    ("more", "query"),
    [({"host": "127.0.0.1"}, {}), ({"sslmode": "verify-full"}, {"sslmode": "verify-full"})],
)
def test_encryption_is_left_out_on_this_machine_and_otherwise_as_the_secret_says(
    answer: Answer, more: dict[str, str], query: dict[str, str]
) -> None:
    url = read(answer({**RDS, **more})).database_url.get_secret_value()
    assert DatabaseURL.parse(url).url.query == query


def test_settings_beside_a_database_of_rds_are_told_apart_by_case_and_an_address_in_full_wins(answer: Answer) -> None:
    settings = read(answer({**RDS, "HOST": "::1", "PORT": 80, "DATABASE_URL": "postgresql://elsewhere/db"}))
    assert (settings.host, settings.port) == ("::1", 80)
    assert settings.database_url.get_secret_value() == "postgresql://elsewhere/db"


def test_the_secret_of_the_guide_is_understood(answer: Answer) -> None:
    guide = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
    example = guide[guide.index("## Secrets from AWS") :].partition("```json\n")[2].partition("```")[0]
    settings = read(answer(example))
    asked = {"secrets_from", "secret_key", "llm_api_key", "database_url", "database_reader_url"}
    assert settings.model_fields_set >= asked


def test_two_secrets_make_one_database(keep: Keep) -> None:
    rotated = keep({key: RDS[key] for key in ("username", "password")}, name="rds!cluster-1")
    keep({"host": RDS["host"], "engine": "aurora-postgresql", "LOG_FORMAT": "json"}, name="site/production")
    settings = read(f"{rotated}, site/production")
    assert settings.database_url.get_secret_value().startswith("postgresql://site%20user:p%40ss")
    assert settings.log_format == "json"


def test_an_arn_tells_its_region(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = keep({"PORT": 77})
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert read(arn).port == 77
    assert "AWS_DEFAULT_REGION" in refusal("aws:by-name")
    monkeypatch.setenv("AWS_REGION", REGION)  # as Lambda and ECS name it
    assert "no such secret" in refusal("aws:by-name")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"password": "{PASSWORD}"', "is not JSON"),
        (PASSWORD, "is not JSON"),
        ([PASSWORD], "no object"),
        ({"unknown": PASSWORD}, "holds no setting"),
        ({**RDS, "engine": "mysql"}, "not PostgreSQL"),
        ({"engine": "postgres", "password": PASSWORD}, "lacks host and username"),
        ({"PORT": PASSWORD}, "PORT: "),
        ({"SECRET_KEY": 5}, "SECRET_KEY: "),
    ],
)
def test_a_secret_of_another_shape_is_refused_without_showing_it(answer: Answer, content: Any, words: str) -> None:
    assert words in refusal(f"aws:{answer(content)}")


def test_a_binary_secret_is_refused(keep: Keep) -> None:
    assert "is binary" in refusal(f"aws:{keep(PASSWORD.encode())}")


@pytest.mark.parametrize("source", ["aws:", "aws:a,,b", "vault:site", "site"])
def test_a_source_that_is_none_is_refused(source: str) -> None:
    assert refusal(source) == "SECRETS_FROM must be empty or aws:<name or ARN of a secret>."


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "there is no such secret in this region"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "there are no credentials"),
        ({"AWS_SECRET_ACCESS_KEY": None}, "there are no credentials"),
        ({"AWS_DEFAULT_REGION": "no region"}, "set AWS_DEFAULT_REGION"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "AWS cannot be reached (EndpointConnectionError)"),
        ({"AWS_ENDPOINT_URL": "localhost"}, "AWS_ENDPOINT_URL is no address"),
        ({"AWS_PROFILE": "nobody"}, "AWS cannot be asked (ProfileNotFound)"),
    ],
)
def test_what_keeps_aws_from_answering_is_one_line(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str | None], words: str
) -> None:
    for name, value in environ.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    assert words in refusal("aws:missing")


class Refusing(BaseHTTPRequestHandler):
    """AWS as moto does not play it: nobody may in. The code is the path's."""

    def do_POST(self) -> None:
        code = self.path.strip("/")
        body = json.dumps(
            {"__type": code, "Message": f"User: arn:aws:iam::123456789012:user/me has {PASSWORD}"}
        ).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AccessDeniedException", "allow secretsmanager:GetSecretValue"),
        ("ExpiredTokenException", "no longer valid"),
        ("SomethingNew", "AWS answered SomethingNew."),
    ],
)
def test_a_refusal_of_aws_is_put_in_words_without_its_details(
    refusing: str, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{refusing}/{code}")
    text = refusal("aws:site")
    assert words in text
    assert "123456789012" not in text


def test_without_boto3_the_line_installs_it_from_its_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    text = refusal("aws:site")
    lock = text.rsplit(" ", 1)[1]
    assert text.endswith(f"python3 -m pip install --no-deps --require-hashes -r {lock}")
    assert "boto3==" in (PROJECT / lock).read_text(encoding="utf-8")
