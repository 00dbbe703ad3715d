"""Formats of the hosts' files, from the documentation linked in each function."""

import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from opportune.web.machine_paths import HEALTH_PATHS

SIGNALS = {"SIGINT", "SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP"}
NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")


def require_keys(keys: Iterable[str], allowed: str) -> None:
    assert set(keys) <= set(allowed.split()), sorted(set(keys) - set(allowed.split()))


def run_program(*command: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, **options)


def yaml(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def yaml_documents(text: str) -> list[Any]:
    return [*YAML(typ="safe", pure=True).load_all(text)]


def check_fly(text: str) -> None:
    """https://fly.io/docs/reference/configuration/"""
    data = tomllib.loads(text)
    require_keys(
        data,
        "app primary_region kill_signal kill_timeout swap_size_mb console_command build deploy env http_service "
        "services checks mounts metrics processes statics files vm restart experimental",
    )
    assert NAME.fullmatch(data["app"])
    assert data["kill_signal"] in SIGNALS
    assert 0 < data["kill_timeout"] <= 300
    require_keys(data["deploy"], "strategy max_unavailable release_command release_command_timeout wait_timeout")
    assert all(isinstance(value, str) for value in data["env"].values())
    service = data["http_service"]
    require_keys(
        service,
        "processes internal_port force_https auto_stop_machines auto_start_machines min_machines_running concurrency "
        "checks machine_checks tls_options http_options",
    )
    assert service["auto_stop_machines"] in ("off", "stop", "suspend")
    assert service["internal_port"] == int(data["env"]["PORT"])
    assert service["concurrency"]["type"] in ("connections", "requests")
    for check in service["checks"]:
        require_keys(
            check, "grace_period interval method timeout path protocol tls_skip_verify tls_server_name headers"
        )
        assert check["path"] in HEALTH_PATHS
    for machine in data["vm"]:
        require_keys(machine, "size memory cpus cpu_kind gpus gpu_kind kernel_args processes host_dedication_id")


def check_render(text: str) -> None:
    """https://render.com/docs/blueprint-spec"""
    data = yaml(text)
    require_keys(data, "services databases envVarGroups projects ungrouped previews")
    (service,) = data["services"]
    require_keys(
        service,
        "type name runtime plan region repo branch autoDeployTrigger buildFilter rootDir buildCommand startCommand "
        "preDeployCommand dockerCommand dockerContext dockerfilePath registryCredential healthCheckPath numInstances "
        "scaling disk domains maxShutdownDelaySeconds envVars previews ipAllowList renderSubdomainPolicy",
    )
    assert (service["type"], service["runtime"]) == ("web", "docker")
    assert "maxShutdownDelaySeconds" not in service or service["plan"] != "free"
    assert service["healthCheckPath"] in HEALTH_PATHS
    for variable in service["envVars"]:
        require_keys(variable, "key value generateValue sync fromDatabase fromService fromGroup")
        assert len(variable) == 2  # a value has one source


def check_railway(text: str) -> None:
    """https://docs.railway.com/config-as-code/reference"""
    data = json.loads(text)
    require_keys(data, "$schema build deploy environments")
    assert data["build"]["builder"] in ("RAILPACK", "DOCKERFILE", "NIXPACKS")
    deploy = data["deploy"]
    require_keys(
        deploy,
        "startCommand preDeployCommand multiRegionConfig numReplicas healthcheckPath healthcheckTimeout "
        "restartPolicyType restartPolicyMaxRetries cronSchedule overlapSeconds "
        "drainingSeconds sleepApplication region runtime",
    )
    assert deploy["healthcheckPath"] in HEALTH_PATHS
    assert deploy["restartPolicyType"] in ("ON_FAILURE", "ALWAYS", "NEVER")
    assert all(isinstance(deploy[name], int) for name in deploy if name.endswith("Seconds"))
    assert all(isinstance(command, str) for command in deploy["preDeployCommand"])


def check_cloud_run(text: str) -> None:
    """https://cloud.google.com/run/docs/reference/yaml/v1"""
    data = yaml(text)
    assert (data["apiVersion"], data["kind"]) == ("serving.knative.dev/v1", "Service")
    require_keys(data["metadata"], "name namespace labels annotations")
    template = data["spec"]["template"]
    assert all(isinstance(value, str) for value in template["metadata"]["annotations"].values())
    spec = template["spec"]
    require_keys(spec, "containerConcurrency timeoutSeconds serviceAccountName containers volumes nodeSelector")
    assert 1 <= spec["timeoutSeconds"] <= 3600
    (container,) = spec["containers"]
    require_keys(
        container,
        "name image command args env ports resources startupProbe livenessProbe readinessProbe volumeMounts workingDir",
    )
    assert container["startupProbe"]["httpGet"]["path"] in HEALTH_PATHS
    assert container["startupProbe"]["timeoutSeconds"] <= container["startupProbe"]["periodSeconds"]
    for variable in container["env"]:
        assert isinstance(variable.get("value", ""), str)
        assert variable.get("valueFrom", {"secretKeyRef": 0}).keys() == {"secretKeyRef"}


def check_space(text: str) -> None:
    """https://huggingface.co/docs/hub/spaces-config-reference"""
    data = yaml(re.fullmatch(r"---\n(.*)---\n", text, re.DOTALL)[1])  # type: ignore[index]
    require_keys(data, "title emoji colorFrom colorTo sdk app_port pinned short_description license tags header models")
    require_keys((data["colorFrom"], data["colorTo"]), "red yellow green blue indigo purple pink gray")
    assert (data["sdk"], type(data["app_port"])) == ("docker", int)
    assert len(data["emoji"]) == 1


def check_compose(text: str) -> None:
    """https://github.com/compose-spec/compose-spec"""
    # Slow to import, and only needed by this check.
    from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    rules = get_builtin_schema("vendor.compose-spec")
    data = yaml(text)
    assert [error.message for error in validator_for(rules)(rules).iter_errors(data)] == []
    for service in data["services"].values():
        assert set(service.get("depends_on", {})) <= data["services"].keys()


FORMATS: dict[str, Callable[[str], None]] = {
    "fly.toml": check_fly,
    "render.yaml": check_render,
    "railway.json": check_railway,
    "README.md": check_space,
    "deploy/cloudrun/service.yaml": check_cloud_run,
    "deploy/compose/compose.yaml": check_compose,
    "deploy/compose/machines.yaml": check_compose,
}
