"""STORAGE_URL as a folder, a bucket or the database."""

from pathlib import Path

import pytest
from httpx2 import ASGITransport, AsyncClient

from opportune.application import create_app
from opportune.errors import OperatorError
from opportune.project.layout import PROJECT
from opportune.storage.location import Bucket, DatabaseFiles, StorageLocation, parse_storage_url
from tests.opportune.storage.conftest import settings_with_storage


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("file:./data/uploads", (PROJECT / "data" / "uploads").resolve()),
        ("file:data/my%20files", (PROJECT / "data" / "my files").resolve()),
        ("file:/srv/files", Path("/srv/files").resolve()),
        ("file:///srv/files", Path("/srv/files").resolve()),
        (
            "s3://AK:se/cr+et%3D@s3.eu-central-1.amazonaws.com/photos",
            Bucket("s3.eu-central-1.amazonaws.com", "photos", "", "eu-central-1", True, "AK", "se/cr+et="),
        ),
        (
            "s3://AK:p@ss@127.0.0.1:9000/photos/of/ours?region=here&tls=false",
            Bucket("127.0.0.1:9000", "photos", "of/ours", "here", False, "AK", "p@ss"),
        ),
        ("S3://files.example.org/photos/", Bucket("files.example.org", "photos")),
        ("database:", DatabaseFiles(10, 200)),
        ("database:///?max_total_megabytes=50", DatabaseFiles(10, 50)),
        ("database:?max_file_megabytes=5&max_total_megabytes=90", DatabaseFiles(5, 90)),
    ],
)
def test_location_is_parsed(url: str, location: StorageLocation) -> None:
    assert parse_storage_url(settings_with_storage(url)) == location


def test_invalid_url_is_an_error() -> None:
    for url, message in (
        ("database:other", "names another database"),
        ("database:?max_file_megabytes=many", "needs a number of megabytes in max_file_megabytes"),
        ("database:?megabytes=5", "has an unknown option: 'megabytes'"),
        ("gs://s3cr3t", "names neither a folder nor a bucket"),
        ("s3:bucket", "names neither a folder nor a bucket"),
        ("file:a%00b", "names no folder"),
        ("file:/", "which contains files of the project"),
        ("file:static/uploads", "which contains files of the project"),
        ("file://nas/share", "the folder of another machine (nas)"),
        ("s3://AK:s3cr3t@host", "lacks the host or the bucket"),
        ("s3://AK:s3cr3t@host:port/bucket", "has an invalid host or port"),
        ("s3://AK@host/bucket", "has a key without a secret"),
        ("s3://AK:s3cr3t@host/bucket?tls=maybe", "needs tls=true or tls=false"),
        ("s3://AK:s3cr3t@host/bucket?zone=x", "has an unknown option: 'zone'"),
    ):
        with pytest.raises(OperatorError) as error:
            parse_storage_url(settings_with_storage(url))
        text = str(error.value)
        assert text.startswith("STORAGE_URL "), url
        assert message in text, url
        assert "oppman.py docs files" in text, url
        assert "\n" not in text, url
        assert "s3cr3t" not in text, url


def test_secret_is_not_in_label_and_repr() -> None:
    location = parse_storage_url(settings_with_storage("s3://AK:s3cr3t@host/bucket/folder"))
    assert isinstance(location, Bucket)
    assert location.label == "s3://host/bucket/folder"
    assert "s3cr3t" not in repr(location)


async def test_policy_allows_images_of_the_bucket() -> None:
    app = create_app(settings_with_storage("s3://a:b@files.example.org/x"))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client:
        policy = (await client.get("/health/live")).headers["content-security-policy"]
    assert "img-src 'self' data: https://files.example.org;" in policy
