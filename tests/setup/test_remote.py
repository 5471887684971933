"""The gateway's host as `setup` sees it."""

import pytest

from openclaw_tunnel.errors import TunnelError
from openclaw_tunnel.setup.remote import RemoteHost
from support.aio import async_test


@async_test
async def test_a_host_that_nobody_logged_in_to() -> None:
    host = RemoteHost("me@127.0.0.1:1", identity="", ssh_config="none", env={})
    with pytest.raises(TunnelError, match="not logged in"):
        await host.gateway()
    await host.close()
