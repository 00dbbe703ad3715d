from app.contacts.models import Contact
from app.contacts.service import Contacts
from opportune.crud import CrudPages


class ContactPages(CrudPages[Contact]):
    columns = ("name", "email", "phone")


router = ContactPages(Contacts, "/contacts").router
