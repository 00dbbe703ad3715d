"""Admin page that examines the databases."""

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import Response

from opportune.contrib.doctor.examination import DoctorContext
from opportune.contrib.operations.page import OperationsPage, reauthentication_required


class DoctorAdmin(OperationsPage):
    @expose("/operations/doctor", identity="operations-doctor")
    @reauthentication_required
    async def show(self, request: Request) -> Response:
        from opportune.contrib.doctor.diagnose import diagnose  # loads psycopg and the whole admin

        names = [feature.name for feature in request.app.state.features]
        context = {"diagnoses": await diagnose(DoctorContext(request.app.state.settings, names))}
        return await self.render(request, "doctor/examination.html", context)
