from app.events import api, demo, pages
from app.events.models import Event, Registration
from app.events.panels import home_card, search_events
from app.events.personal import personal_data
from opportune.feature import Accounts, Admin, Data, Demo, Feature, Link, Metric, Site, SiteSearch

events = Feature(
    "events",
    "Events to register for, with a photo, a confirmation by mail and a list of attendees.",
    models=[Event, Registration],
    pages=pages.router,
    api=api.router,
    admin=Admin("app.events.admin", metrics=[Metric("Registrations", Registration.created_at)]),
    site=Site(
        home_card=home_card,
        navigation=[Link("Events", "/events", "calendar-event", summary="See what comes next, and register.")],
        searches=[SiteSearch("Events", search_events, "/events")],
    ),
    data=Data(demo=Demo(demo.load, demo.clear)),
    accounts=Accounts(personal_data=personal_data),
)
