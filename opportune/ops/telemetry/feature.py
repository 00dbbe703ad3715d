from opportune.feature import Feature
from opportune.ops.telemetry.status import server_lights

telemetry = Feature(
    name="telemetry",
    summary="Metrics, traces and the state of the server.",
    status={"Server": server_lights},
)
