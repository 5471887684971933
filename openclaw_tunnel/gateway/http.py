"""One GET: what the gateway's plain HTTP answers need, and no more. The request asks the server to close."""

import asyncio
from collections.abc import Callable

from openclaw_tunnel.gateway.answer import Answer, Incoming, parse
from openclaw_tunnel.gateway.route import Route


class _Collector(asyncio.Protocol):
    """Collects until the answer is whole, the far end closes, or there is too much."""

    def __init__(self) -> None:
        self.data = Incoming()
        self.done = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if self.data.feed(data):
            self.done.set()

    def eof_received(self) -> bool:
        self.done.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.done.set()


async def get(route: Route, path: str, *, timeout: float, on_open: Callable[[], None] = lambda: None) -> Answer | None:
    """Send ``GET path`` over ``route``.

    Args:
        timeout: seconds for all of it, opening the channel included.
        on_open: called when the route is open.

    Returns:
        The answer; None where the channel opened and no whole answer came back in time.

    Raises:
        ChannelFailed, LinkLost: as ``Route.open``.
    """
    collector = _Collector()
    loop = asyncio.get_running_loop()
    began = loop.time()
    channel = await route.open(collector, timeout=timeout)
    on_open()
    try:
        more = "".join(f"{name}: {value}\r\n" for name, value in route.headers.items())
        channel.write(
            f"GET {path} HTTP/1.1\r\nHost: {route.host}\r\n{more}"
            "Accept: application/json\r\nConnection: close\r\n\r\n".encode()
        )
        async with asyncio.timeout(timeout - (loop.time() - began)):
            await collector.done.wait()
    except TimeoutError:
        answer = parse(bytes(collector.data))
        return None if answer.broke_off else answer  # nothing broke off: the rest did not come in time
    finally:
        channel.abort()  # everything that was wanted is here; closing in order would take TLS another round trip
    return parse(bytes(collector.data))
