from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from opportune.feature import Admin, Feature, Jobs, Monitoring, Process, SetupStep, Site
from opportune.mail import pages
from opportune.mail.checks import check_admin_email, check_mail
from opportune.mail.delivery import send_email_job
from opportune.mail.factory import transport_for
from opportune.mail.transport import ConsoleTransport
from opportune.web.routing.router import router_of


def init_app(app: FastAPI) -> None:
    transport_for(app.state.settings)  # a mistake in MAIL_URL is reported at the start
    if not app.state.settings.is_production:
        router_of(app).include_pages(pages.router)


async def _sends_emails(app: FastAPI) -> bool:
    return not isinstance(transport_for(app.state.settings), ConsoleTransport)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    if app.state.settings.environment == "development":
        pages.log_mailbox_link(app.state.settings)
    yield


mail = Feature(
    "mail",
    "E-mails, sent by a job, and a mailbox for development.",
    site=Site(init_app=init_app),
    jobs=Jobs((send_email_job,)),
    monitoring=Monitoring(checks=(check_admin_email,), production_checks=(check_mail,)),
    admin=Admin(setup_steps=(SetupStep("mail", "Send e-mails", _sends_emails, "/docs/mail"),)),
    process=Process(lifespan=lifespan),
)
