from sqlmodel import Field

from opportune.contrib.teams import TeamOwned
from opportune.fields import Email, Line, Phone, Text


class Contact(TeamOwned, table=True):
    __tablename__ = "contacts_contact"

    name: Line = Field(min_length=1, max_length=100)
    email: Email | None = None
    phone: Phone = ""
    notes: Text = Field(default="", max_length=2000)

    def __str__(self) -> str:
        return self.name
