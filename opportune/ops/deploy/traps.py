"""What to know of a host before a site is there, a line each: from the table of hosts, then from its own text."""

from collections.abc import Iterator

from opportune.config.hosts import Host
from opportune.ops.deploy.host_files import render_lines
from opportune.ops.deploy.recipes import Recipe
from opportune.ops.deploy.site_names import SiteNames


def trap_lines(recipe: Recipe, site: SiteNames) -> list[str]:
    return [*_of_disk(recipe), *_of_process(recipe), *_of_network(recipe), *render_lines("traps", recipe, site)]


def _of_disk(recipe: Recipe) -> Iterator[str]:
    host = recipe.host
    if host.writable_folders:
        yield f"Disk: read-only but for {', '.join(host.writable_folders)}, which is not kept: use PostgreSQL."
    elif not host.keeps_disk:
        volume = ", unless it is on a volume" if recipe.has_volumes else ""
        yield f"Disk: what is written is gone at the next deploy or restart{volume}: use PostgreSQL."
    if not host.has_shell:
        yield "Shell: none. The site's admin does for it (docs/deploy.md, Without a shell)."
    if host.max_environment_bytes:
        yield f"Settings: all of them together in {host.max_environment_bytes / 1024:.0f} KB."


def _of_process(recipe: Recipe) -> Iterator[str]:
    host = recipe.host
    if host.memory_bytes:
        yield f"Memory: {_size(host.memory_bytes)} on the smallest machine: --workers 1."
    if recipe.stop_seconds:
        yield f"Stop: SIGTERM, then {recipe.stop_seconds:.0f} s by the file here; without it {host.stop_seconds:.0f}."
    else:
        yield f"Stop: {host.stop_signal}, then {host.stop_seconds:.0f} s{_mark('stop_seconds', recipe)}."
    if not host.runs_between_requests:
        yield "Between requests nothing runs: JOBS=request, and a free cron service that calls the site."
    if host.sleeps_after_seconds:
        yield f"Sleep: after {_time(host.sleeps_after_seconds)} without visitors; the next one waits {_wake(host)}."


def _of_network(recipe: Recipe) -> Iterator[str]:
    host = recipe.host
    if host.is_tls_ended_before:
        header = host.client_address_header or "the last of X-Forwarded-For"
        proxies = {**recipe.sets, **recipe.asks}.get("TRUSTED_PROXIES", "")
        yield f"TLS ends at a proxy: TRUSTED_PROXIES={proxies}. A visitor's address: {header}."
    total = recipe.stream_total_seconds or host.stream_total_seconds
    cuts = [f"after {_time(host.stream_idle_seconds)} of silence"] if host.stream_idle_seconds else []
    if cuts := [*cuts, *([f"after {_time(total)} in any case"] if total else [])]:
        mark = _mark("stream_total_seconds", recipe)
        yield f"Streams are cut {' and '.join(cuts)}{mark}; pages take them up again."
    if host.max_request_bytes:
        yield f"Uploads: {_size(host.max_request_bytes)} at most{_mark('max_request_bytes', recipe)}."
    if host.open_ports:
        yield f"Ports to the outside: {_list(host.open_ports)} alone{_mark('open_ports', recipe)}."
    elif host.blocked_ports:
        mail = " Mail goes over HTTPS (docs/mail.md)." if 587 in host.blocked_ports else ""
        plans = f", on {recipe.limited_plans}" if "blocked_ports" in recipe.paid_lifts else ""
        yield f"Ports that are shut{plans}: {_list(host.blocked_ports)}{_mark('blocked_ports', recipe)}.{mail}"
    yield f"Health: {host.health_path}."


def _mark(field: str, recipe: Recipe) -> str:
    return " (not certain)" if field in recipe.unsure else ""


def _list(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports))


def _wake(host: Host) -> str:
    return f"about {_time(host.wake_seconds)}" if host.wake_seconds >= 1 else "for the site's own start"


def _time(seconds: float) -> str:
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _size(count: int) -> str:
    return f"{count / 1024**3:.0f} GB" if count >= 1024**3 else f"{count / 1024**2:.0f} MB"
