"""Process that the reloader starts again after each change."""

import sys
from socket import socket


def serve_reloaded_site(app: str, sockets: list[socket]) -> None:
    """Serve the application of this name with the current settings until a signal."""
    # The reloader imports this module, too, and must stay small.
    from opportune.cli.development.server_config import server_config
    from opportune.config.settings import get_settings
    from opportune.errors import OperatorError
    from opportune.server.handover import Server

    try:
        config = server_config(app, get_settings(), sockets[0])
    except OperatorError as error:  # such as a mistake in .env
        sys.exit(str(error))
    Server(config).run(sockets)
