"""How the site runs there: memory, jobs, its end, and how long an answer may take."""

from collections.abc import Iterator

from opportune.checks import Finding
from opportune.llm.answers.settings import SPARED_SECONDS, AnswersSettings
from opportune.ops.deploy.rules.deployment import Deployment, warning

WORKER_MEMORY_BYTES = 130 * 1024 * 1024
"""What one takes with all features and a few people signing in."""


def check_environment(deployment: Deployment) -> Iterator[Finding]:
    """Whether all variables fit."""
    limit = deployment.host.max_environment_bytes
    size = sum(len(f"{name}={value}".encode()) for name, value in deployment.values.items())
    if limit and size > limit:
        longest = max(deployment.values, key=lambda name: len(deployment.values[name]))
        yield Finding(
            f"The settings have {size:,} bytes together, and {deployment.host.title} takes {limit:,}: the longest is "
            f"{longest}. Put what is no secret into app/settings.py."
        )


def check_grace(deployment: Deployment) -> Iterator[Finding]:
    given, delay = deployment.settings.of(AnswersSettings).answer_grace_seconds, deployment.settings.stop_delay_seconds
    stop = max(deployment.recipe.stop_seconds or 0, deployment.host.stop_seconds)
    left = max(0, stop - SPARED_SECONDS)
    if delay > left:
        yield Finding(f"STOP_DELAY_SECONDS is {delay:g}, and {deployment.host.title} ends the site after {stop:g}.")
    elif given is not None and given + delay > left:
        also = f" with {delay:g} of STOP_DELAY_SECONDS before it" if delay else ""
        yield Finding(
            f"ANSWER_GRACE_SECONDS is {given:g}{also}, and {deployment.host.title} ends the site after {stop:g}: set "
            f"{left - delay:g} at most."
        )


def check_jobs(deployment: Deployment) -> Iterator[Finding]:
    jobs, host = deployment.settings.jobs, deployment.host
    if jobs == "off":
        yield warning("JOBS=off: nobody does the jobs, mail among them.")
    elif not host.runs_between_requests and jobs == "inline":
        yield Finding(
            f"JOBS=inline, and on {host.title} nothing runs while no request does: set JOBS=request.",
        )
    elif jobs == "worker" and "JOBS" not in deployment.recipe.sets:
        yield warning("JOBS=worker: run oppman.py worker with the same settings somewhere, or jobs and mail wait.")
    elif jobs == "request" and host.runs_between_requests:
        yield warning(f"JOBS=request waits for requests, and {host.title} runs without them: leave JOBS out.")
    elif jobs == "inline" and host.sleeps_after_seconds:
        yield warning(f"{host.title} sleeps without visitors: what is scheduled then is done when the next one comes.")


def check_memory(deployment: Deployment) -> Iterator[Finding]:
    memory, workers = deployment.host.memory_bytes, deployment.answers.workers
    if memory and workers > 1 and workers * WORKER_MEMORY_BYTES > memory:
        fit = max(1, memory // WORKER_MEMORY_BYTES)
        yield Finding(
            f"{workers} workers want about {workers * WORKER_MEMORY_BYTES // 1024**2} MB, and the smallest "
            f"machine of {deployment.host.title} has {memory // 1024**2}: --workers {fit}, or a larger machine.",
            is_error=not deployment.answers.is_paid,
        )


def check_answers(deployment: Deployment) -> Iterator[Finding]:
    total = deployment.recipe.stream_total_seconds or deployment.host.stream_total_seconds
    if total and not deployment.host.runs_between_requests and deployment.settings.llm_timeout > total:
        yield warning(
            f"LLM_TIMEOUT is {deployment.settings.llm_timeout:g} s, and {deployment.host.title} cuts each answer after "
            f"{total:g}: what is not written by then stays unfinished."
        )
