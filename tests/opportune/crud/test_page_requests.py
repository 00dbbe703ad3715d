"""Query parameters of a model's pages."""

from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import ColumnElement, MetaData
from sqlmodel import Field, col

from opportune.crud import Crud, CrudApi, CrudPages, Permission, filter_by
from opportune.db import Model
from opportune.db.models.model import NAMING_CONVENTION
from opportune.feature import Feature, Link, Site
from opportune.testing import Make, add_permission, make_user, signed_in_client
from tests.opportune.site_with import site_fixture


class TripTable(Model):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class Trip(TripTable, table=True):
    __tablename__ = "trips_trip"

    name: str = Field(max_length=50)
    starts_at: datetime


class Trips(Crud[Trip]):
    read_permission = write_permission = Permission.ANYONE
    filters = ("starts_at",)

    @filter_by
    def code(self, code: str) -> ColumnElement[bool]:
        return col(Trip.id) == int(code)


TRIP_PATHS = ("/trips", "/trips/members", "/trips/guides")
trips = Feature(
    "trips",
    "Trips.",
    models=[Trip],
    pages=CrudPages(Trips, "/trips").router,
    api=CrudApi(Trips, "/trips").router,
    site=Site(
        navigation=[
            Link("Public", "/trips", "map"),
            Link("Members", "/trips/members", "map", signed_in=True),
            Link("Guides", "/trips/guides", "map", permission=("trip", "update")),
        ]
    ),
)


app = site_fixture(trips, TripTable.metadata)


@pytest.mark.parametrize("path", ["/trips", "/api/v1/trips"])
async def test_value_error_of_a_filter_is_refused(client: AsyncClient, path: str) -> None:
    assert (await client.get(f"{path}?code=x")).status_code == 422
    assert (await client.get(f"{path}?code=1")).status_code == 200


async def test_new_form_is_prefilled_from_the_address(client: AsyncClient) -> None:
    page = await client.get("/trips/new?name=%3Cb%3ERome&starts_at=2026-05-01T10:00&unknown=1")

    assert page.status_code == 200
    assert 'value="&lt;b&gt;Rome"' in page.text
    assert 'value="2026-05-01T10:00"' in page.text


async def test_filters_use_the_time_zone_of_the_visitor(client: AsyncClient, make: Make) -> None:
    await make(Trip, name="Rome", starts_at=datetime(2026, 5, 1, 10, tzinfo=UTC))
    client.cookies.set("time_zone", "Asia/Tokyo")  # where it is 19:00

    earlier = await client.get("/trips?starts_at__gte=2026-05-01T18:30")
    later = await client.get("/trips?starts_at__gte=2026-05-01T19:30")

    assert "Rome" in earlier.text
    assert "Rome" not in later.text
    assert 'value="2026-05-01T18:30"' in earlier.text


@pytest.mark.language("de")
async def test_filters_use_the_format_of_the_visitor(client: AsyncClient, language: str) -> None:
    response = await client.get("/trips", params={"starts_at__gte": "1.5.2026 18:30"})
    assert response.headers["location"] == "/trips?starts_at__gte=2026-05-01T18%3A30"
    assert (await client.get("/trips", params={"starts_at__gte": "31.2.2026 18:30"})).status_code == 422


async def test_navigation_shows_links_that_the_user_may_open(app: FastAPI, client: AsyncClient) -> None:
    guide = await make_user(app.state.database)
    await add_permission(app.state.database, guide, "trip", "update")
    async with signed_in_client(app) as member_client, signed_in_client(app, guide) as guide_client:
        pages = [(await user_client.get("/trips")).text for user_client in (client, member_client, guide_client)]

    links = [[path for path in TRIP_PATHS if f'href="{path}"' in text] for text in pages]
    assert links == [["/trips"], ["/trips", "/trips/members"], ["/trips", "/trips/members", "/trips/guides"]]
