from app.events import api, demo, pages
from app.events.cards import home_card
from app.events.jobs import delete_photos, shrink_photo
from app.events.models import Event, Registration
from app.events.personal import personal_data
from app.events.search import search_events
from opportune.feature import Demo, Feature, Link, Metric, SiteSearch

events = Feature(
    name="events",
    summary="Events to register for, with a photo, a confirmation by mail and a list of attendees.",
    models=[Event, Registration],
    pages=pages.router,
    api=api.router,
    admin="app.events.admin",
    home_card=home_card,
    metrics=[Metric("Registrations", Registration.created_at)],
    navigation=[Link("Events", "/events", "calendar-event")],
    searches=[SiteSearch("Events", search_events, "/events")],
    jobs=[shrink_photo, delete_photos],
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
)
