"""Labels that are derived from names, in the visitor's language: in pages of `crud` and in the admin."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from opportune.contrib.translations import field_labels, labels
from opportune.i18n import catalogues
from opportune.project.layout import FRAMEWORK
from tests.opportune.admin.labels_feature import Lamp, Mood, lamps
from tests.opportune.contrib.import_export.import_steps import extract_text, open_columns
from tests.opportune.site_with import site_fixture

GERMAN = {
    "Lamp": "Lampe",
    "Lamps": "Lampen",
    "Lights": "Leuchten",
    "Title": "Titel",
    "As on the box.": "Wie auf der Schachtel.",
    "Mood": "Stimmung",
    "Warm": "Wohlig",
    "Very cold": "Eiskalt",
    "Dimmable": "Dimmbar",
    "Can be dimmed": "Kann gedimmt werden",
    "Total height": "Gesamthöhe",
    "inches": "Zoll",
    "Origin": "Herkunft",
    "Looks": "Aussehen",
    "Switch on": "Einschalten",
    "Really switch it on?": "Wirklich einschalten?",
}
FRAMEWORK_TEXTS = {"Add %(name)s": "%(name)s hinzufügen", "%(label)s from": "%(label)s ab", "No": "Nein"}
DE = {"Accept-Language": "de"}


def make_lamps() -> list[Lamp]:
    return [Lamp(title="Sun", mood=Mood.VERY_COLD, height=3, origin="AT")]


app = site_fixture(lamps, make_lamps, languages=["en", "de"])


@pytest.fixture(autouse=True)
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    path = catalogues.catalogue_path(tmp_path, "de")
    path.parent.mkdir(parents=True)
    texts = {"": "Content-Type: text/plain; charset=utf-8\\n", **GERMAN, **FRAMEWORK_TEXTS}
    path.write_text("".join(f'msgid "{text}"\nmsgstr "{german}"\n\n' for text, german in texts.items()))
    monkeypatch.setattr(catalogues, "locale_folders", lambda: [tmp_path, FRAMEWORK / "locale"])
    catalogues.clear_catalogues()
    yield
    catalogues.clear_catalogues()


GERMAN_PAGES: list[tuple[str, list[str]]] = [
    ("/admin/lamp/list?origin=AT&origin=DE", ['value="AT" checked', 'value="DE" checked', "Herkunft: Österreich"]),
    ("/admin/lamp/list?origin=T", ["Herkunft enthält T", "Sun"]),
    ("/admin/lamp/list?origin=AT&origin_op=not", ["Herkunft ist nicht: Österreich"]),
    ("/lamps", ['data-label="Titel"', "Eiskalt", '<h1 class="m-0 me-auto">Lampen', "Lampe hinzufügen", "Österreich"]),
    ("/lamps", ["Gesamthöhe ab", "1 Lampe"]),
    ("/lamps/new", ["Titel", "Wie auf der Schachtel.", "Dimmbar", "Gesamthöhe", "Eiskalt", "Zoll"]),
    ("/lamps/1", ['<dt class="col-sm-3">Stimmung', "Eiskalt", "3\N{NO-BREAK SPACE}Zoll", "Österreich"]),
    ("/admin/lamp/list", ["Titel", "Eiskalt", "Kann gedimmt werden", "Gesamthöhe (Zoll)", "Leuchten", "Einschalten"]),
    ("/admin/lamp/list", [">Nein</span>", "Lampe hinzufügen", "Stimmung</", "Wohlig"]),
    ("/admin/lamp/create", ["Titel", "Wie auf der Schachtel.", "Aussehen", "Wohlig", "Lampe hinzufügen"]),
    ("/admin/lamp/details/1", ["Stimmung", "Eiskalt", "Aussehen", "Einschalten", "Österreich"]),
    ("/admin/search?q=lampen", ["Lampen"]),
    ("/search?q=lampe", ["Lampe hinzufügen"]),
]


async def test_pages_are_german_but_api_and_exports_english(superuser_client: AsyncClient) -> None:
    for path, texts in GERMAN_PAGES:
        page = await superuser_client.get(path, headers=DE)
        assert page.status_code == 200, path
        assert [text for text in texts if text not in page.text] == [], path
    english = [await superuser_client.get(path) for path in ("/api/openapi.json", "/admin/lamp/export/csv")]
    german = [await superuser_client.get(path, headers=DE) for path in ("/api/openapi.json", "/admin/lamp/export/csv")]
    assert [response.text for response in german] == [response.text for response in english]
    assert "very_cold" in german[1].text
    preview = extract_text(await open_columns(superuser_client, "/admin/lamp/import", german[1].text))
    assert "SunVery coldNo3Austria" in preview


def test_labels_need_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_labels, "PACKAGE", "tests.opportune.admin")
    monkeypatch.setattr(labels, "installed_features", lambda: [lamps])
    collected = labels.site_labels.__wrapped__()[FRAMEWORK.parent / "tests/opportune/admin/labels_feature.py"]
    assert GERMAN.keys() - {*collected} == set()
    assert "Austria" not in collected
