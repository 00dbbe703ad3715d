"""Limits and pitfalls of a host, one per line. They come from the table of hosts and from its `traps.txt`."""

from collections.abc import Iterator

from opportune.config.hosts import Host
from opportune.contrib.deploy.host_files import render_lines
from opportune.contrib.deploy.recipes import Recipe
from opportune.contrib.deploy.site_names import SiteNames


def list_traps(recipe: Recipe, site: SiteNames) -> list[str]:
    host_lines = [*_disk_lines(recipe), *_process_lines(recipe), *_network_lines(recipe)]
    return [*host_lines, *render_lines("traps", recipe, site)]


def _disk_lines(recipe: Recipe) -> Iterator[str]:
    host = recipe.host
    if host.writable_folders:
        yield f"The disk is read-only except {', '.join(host.writable_folders)}, which is temporary. Use PostgreSQL."
    elif not host.keeps_disk:
        volume = ", except on a volume" if recipe.has_volumes else ""
        yield f"Files are lost at the next deploy or restart{volume}. Use PostgreSQL."
    if not host.has_shell:
        yield "There is no shell. Use the site's admin instead (oppman.py docs deploy, Without a shell)."
    if host.max_environment_bytes:
        yield f"All settings together may have at most {host.max_environment_bytes / 1024:.0f} KB."


def _process_lines(recipe: Recipe) -> Iterator[str]:
    host = recipe.host
    if host.memory_bytes:
        size = _format_size(host.memory_bytes) + _uncertainty("memory_bytes", recipe)
        yield f"The smallest machine has {size} of memory. Use --workers 1."
    if recipe.stop_seconds:  # set in the host's file, with SIGTERM
        default = f" (by default {host.stop_seconds:.0f} s)"
        yield f"After SIGTERM, the site has {recipe.stop_seconds:.0f} s to stop{default}."
    else:
        uncertainty = _uncertainty("stop_seconds", recipe)
        yield f"After {host.stop_signal}, the site has {host.stop_seconds:.0f} s to stop{uncertainty}."
    if not host.runs_between_requests:
        rule = f"Nothing runs between requests{_uncertainty('runs_between_requests', recipe)}."
        yield f"{rule} Use JOBS=request and a free cron service that calls the site."
    if host.sleeps_after_seconds:
        sleep = _format_time(host.sleeps_after_seconds) + _uncertainty("sleeps_after_seconds", recipe)
        yield f"The site sleeps after {sleep} without requests. The next one waits {_format_wake_time(host)}."


def _network_lines(recipe: Recipe) -> Iterator[str]:
    host = recipe.host
    if host.is_tls_ended_before:
        header = host.client_address_header or "the last entry of X-Forwarded-For"
        proxies = {**recipe.sets, **recipe.defaults}.get("TRUSTED_PROXIES", "")
        yield f"TLS ends at a proxy. Set TRUSTED_PROXIES={proxies}. The client address is in {header}."
    total = recipe.stream_total_seconds or host.stream_total_seconds
    limits = [f"after {_format_time(host.stream_idle_seconds)} without data"] if host.stream_idle_seconds else []
    limits += [f"after {_format_time(total)} in any case"] if total else []
    if limits:
        uncertainty = _uncertainty("stream_total_seconds", recipe)
        yield f"Streams are closed {' and '.join(limits)}{uncertainty}. Pages reconnect."
    if host.max_request_bytes:
        size = _format_size(host.max_request_bytes) + _uncertainty("max_request_bytes", recipe)
        yield f"Uploads may have at most {size}."
    if host.open_ports:
        ports = _format_ports(host.open_ports) + _uncertainty("open_ports", recipe)
        yield f"Only these outgoing ports are open: {ports}."
    elif host.blocked_ports:
        mail = " Send mail over HTTPS (oppman.py docs mail)." if 587 in host.blocked_ports else ""
        plans = f" on {recipe.limited_plans}" if "blocked_ports" in recipe.free_limits else ""
        ports = _format_ports(host.blocked_ports) + _uncertainty("blocked_ports", recipe)
        yield f"These outgoing ports are blocked{plans}: {ports}.{mail}"
    yield f"The health check requests {host.health_path}{_uncertainty('health_path', recipe)}."


def _uncertainty(field: str, recipe: Recipe) -> str:
    return " (not documented)" if field in recipe.uncertain_fields else ""


def _format_ports(ports: tuple[int, ...]) -> str:
    return ", ".join(map(str, ports))


def _format_wake_time(host: Host) -> str:
    return f"about {_format_time(host.wake_seconds)}" if host.wake_seconds >= 1 else "until the site has started"


def _format_time(seconds: float) -> str:
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


def _format_size(count: int) -> str:
    return f"{count / 1024**3:.0f} GB" if count >= 1024**3 else f"{count / 1024**2:.0f} MB"
