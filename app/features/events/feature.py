from app.core.feature import Demo, Feature, Figure, Link
from app.features.events import api, demo, pages
from app.features.events.admin import EventAdmin, RegistrationAdmin
from app.features.events.jobs import delete_photos, shrink_photo
from app.features.events.models import Event, Registration
from app.features.events.personal import personal_data

events = Feature(
    name="events",
    summary="Events to register for, with a photo, a confirmation by mail and a list of who comes.",
    models=[Event, Registration],
    pages=pages.router,
    api=api.router,
    admin=[EventAdmin, RegistrationAdmin],
    figures=[Figure("Registrations", Registration.created_at)],
    navigation=[Link("Events", "/events", "calendar-event")],
    jobs=[shrink_photo, delete_photos],
    demo=Demo(demo.load, demo.clear),
    personal_data=personal_data,
)
