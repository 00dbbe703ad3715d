from opportune.contrib.telemetry.heartbeat import report_late_jobs, watch_jobs
from opportune.contrib.telemetry.server_lights import server_lights
from opportune.contrib.telemetry.setup import (
    Telemetry,
    add_telemetry,
    server_observed,
    telemetry_running,
)
from opportune.feature import Feature
from opportune.services import Service

telemetry = Feature(
    name="telemetry",
    summary="Metrics, traces, error reports and the state of the server.",
    is_outermost=True,
    init_app=add_telemetry,
    services=(Service("telemetry", Telemetry, lambda services: Telemetry(services.settings)),),
    jobs=(watch_jobs, report_late_jobs),
    status={"Server": server_lights},
    process=telemetry_running,
    lifespan=server_observed,
)
