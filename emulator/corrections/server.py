"""The server itself: its ports, and how it stops."""

import asyncio.constants

from ministack import app  # type: ignore[import-untyped]  # it has no types


def listen_on_one_port() -> None:
    """With TLS it would listen on port 443 too, where it may: for Cognito, which this project does not use."""
    app._port_is_bindable = lambda _host, _port: False  # noqa: SLF001 - there is no setting for it


def stop_in_time() -> None:
    """Do not wait 30 s, asyncio's default, for each client that keeps a TLS connection open to close it.

    The emulator would be killed before that, its state unsaved.
    """
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = 0.5
