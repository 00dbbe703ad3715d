from app.contacts import api, demo, pages
from app.contacts.models import Contact
from opportune.feature import Demo, Feature, Link

contacts = Feature(
    name="contacts",
    summary="The address book of a team, which its members share.",
    requires=("teams",),
    models=[Contact],
    pages=pages.router,
    api=api.router,
    admin="app.contacts.admin",
    navigation=[Link("Contacts", "/contacts", "address-book", signed_in=True)],
    demo=Demo(demo.load, demo.clear),
)
