"""The socket of the page, bound before anything else is done, so that a taken port is one line."""

import dataclasses
import socket

from livepapers.core.errors import InputError
from livepapers.web.settings import Settings


def listen(settings: Settings) -> tuple[socket.socket, Settings]:
    """A listening socket, and the settings with the port that it has.

    Raises:
        InputError: The address is not this machine's, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError) as error:
        shown = f"{settings.host}:{settings.port}"
        raise InputError.of("port", shown, expected="a free port of this machine", cause=str(error)) from None
    return made, dataclasses.replace(settings, port=made.getsockname()[1])
