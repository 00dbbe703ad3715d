from app.contacts.service import Contacts
from opportune.crud import CrudApi

router = CrudApi(Contacts, "/contacts").router
