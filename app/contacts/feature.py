from app.contacts import api, demo, pages
from app.contacts.models import Contact
from opportune.feature import Admin, Data, Demo, Feature, Link, Site

contacts = Feature(
    "contacts",
    "The address book of a team, which its members share.",
    requires=("teams",),
    models=[Contact],
    pages=pages.router,
    api=api.router,
    admin=Admin("app.contacts.admin"),
    site=Site(
        navigation=[
            Link("Contacts", "/contacts", "address-book", signed_in=True, summary="Addresses that your team shares.")
        ]
    ),
    data=Data(demo=Demo(demo.load, demo.clear)),
)
