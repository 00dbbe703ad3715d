"""Rules for processes: memory, jobs, shutdown and time limits."""

from collections.abc import Iterator

from opportune.checks import Finding
from opportune.config.hosts import RESERVED_STOP_SECONDS
from opportune.contrib.deploy.rules.deployment import Deployment, warning

WORKER_MEMORY_BYTES = 130 * 1024 * 1024
"""Memory of a worker with all features and a few users signing in."""


def check_environment(deployment: Deployment) -> Iterator[Finding]:
    """Check the total size of all environment variables."""
    limit = deployment.host.max_environment_bytes
    size = sum(len(f"{name}={value}".encode()) for name, value in deployment.values.items())
    if limit and size > limit:
        longest = max(deployment.values, key=lambda name: len(deployment.values[name]))
        yield Finding(
            f"The settings have {size:,} bytes, but {deployment.host.title} allows {limit:,}. The longest is "
            f"{longest}. Move settings that are not secret to app/settings.py."
        )


def check_grace(deployment: Deployment) -> Iterator[Finding]:
    grace, delay = deployment.settings.answer_grace_seconds, deployment.settings.stop_delay_seconds
    stop_seconds = max(deployment.recipe.stop_seconds or 0, deployment.host.stop_seconds)
    available = max(0, stop_seconds - RESERVED_STOP_SECONDS)
    if delay > available:
        yield Finding(
            f"STOP_DELAY_SECONDS is {delay:g}, but {deployment.host.title} kills the site after {stop_seconds:g} s."
        )
    elif grace is not None and grace + delay > available:
        total = f" plus {delay:g} of STOP_DELAY_SECONDS" if delay else ""
        yield Finding(
            f"ANSWER_GRACE_SECONDS is {grace:g}{total}, but {deployment.host.title} kills the site after "
            f"{stop_seconds:g} s: set at most {available - delay:g}."
        )


def check_jobs(deployment: Deployment) -> Iterator[Finding]:
    jobs, host = deployment.settings.jobs, deployment.host
    if jobs == "off":
        yield warning("JOBS=off: no jobs run, so no e-mail is sent.")
    elif not host.runs_between_requests and jobs == "inline":
        yield Finding(f"JOBS=inline: on {host.title} nothing runs between requests. Set JOBS=request.")
    elif jobs == "worker" and "JOBS" not in deployment.recipe.sets:
        yield warning("JOBS=worker: also run oppman.py worker with the same settings, or jobs and e-mail wait.")
    elif jobs == "request" and host.runs_between_requests:
        yield warning(f"JOBS=request delays jobs without need, as {host.title} runs between requests: remove JOBS.")
    elif jobs == "inline" and host.sleeps_after_seconds:
        yield warning(f"{host.title} sleeps without requests: scheduled jobs run after the next request.")


def check_memory(deployment: Deployment) -> Iterator[Finding]:
    memory, workers = deployment.host.memory_bytes, deployment.options.workers
    if memory and workers > 1 and workers * WORKER_MEMORY_BYTES > memory:
        max_workers = max(1, memory // WORKER_MEMORY_BYTES)
        yield Finding(
            f"{workers} workers need about {workers * WORKER_MEMORY_BYTES // 1024**2} MB, but the smallest machine "
            f"of {deployment.host.title} has {memory // 1024**2} MB: use --workers {max_workers}, or a larger machine.",
            is_error=not deployment.options.is_paid,
        )


def check_llm_timeout(deployment: Deployment) -> Iterator[Finding]:
    total = deployment.recipe.stream_total_seconds or deployment.host.stream_total_seconds
    if total and not deployment.host.runs_between_requests and deployment.settings.llm_timeout > total:
        yield warning(
            f"LLM_TIMEOUT is {deployment.settings.llm_timeout:g} s, but {deployment.host.title} ends each response "
            f"after {total:g} s: longer answers stay unfinished."
        )
