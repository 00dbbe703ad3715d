from opportune.contrib.telemetry.heartbeat import report_late_jobs, watch_jobs
from opportune.contrib.telemetry.sentry import report_command
from opportune.contrib.telemetry.server_lights import server_lights
from opportune.contrib.telemetry.settings import TelemetrySettings
from opportune.contrib.telemetry.setup import Telemetry, add_telemetry, server_observed, telemetry_running
from opportune.feature import Feature, Jobs, Monitoring, Process, Site
from opportune.services import Service

telemetry = Feature(
    "telemetry",
    "Metrics, traces, error reports and the state of the server.",
    settings=TelemetrySettings,
    site=Site(is_outermost=True, init_app=add_telemetry),
    process=Process(
        services=(Service("telemetry", Telemetry, lambda services: Telemetry(services.settings)),),
        context=telemetry_running,
        lifespan=server_observed,
    ),
    jobs=Jobs((watch_jobs, report_late_jobs)),
    monitoring=Monitoring(status={"Server": server_lights}, report_error=report_command),
)
