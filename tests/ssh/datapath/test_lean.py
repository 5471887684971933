"""ssh/datapath/lean.py: packets that need not be sent."""

from typing import Any

import pytest
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_IGNORE
from asyncssh.packet import String

from openclaw_tunnel.ssh.datapath.lean import without_padding


class Connection:
    """asyncssh's, as far as it sends packets: an empty one ahead of each of the later ones."""

    def __init__(self, cipher: str) -> None:
        self.sent: list[int] = []
        self._cipher = cipher

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._cipher if name == "send_cipher" else default

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        if pkttype == MSG_CHANNEL_DATA:
            self.send_packet(MSG_IGNORE, String(b""))
        self.sent.append(pkttype)


@pytest.mark.parametrize(
    ("cipher", "sent"),
    [
        ("aes128-gcm@openssh.com", [MSG_CHANNEL_DATA]),
        ("chacha20-poly1305@openssh.com", [MSG_CHANNEL_DATA]),
        ("aes256-ctr", [MSG_CHANNEL_DATA]),
        ("aes256-cbc", [MSG_IGNORE, MSG_CHANNEL_DATA]),
    ],
)
def test_an_empty_packet_goes_ahead_only_where_the_cipher_needs_it(cipher: str, sent: list[int]) -> None:
    connection = Connection(cipher)
    without_padding(connection)  # type: ignore[arg-type]
    connection.send_packet(MSG_CHANNEL_DATA, b"data", handler=None)
    assert connection.sent == sent


def test_what_is_to_be_ignored_but_is_not_empty_is_sent() -> None:
    connection = Connection("aes128-gcm@openssh.com")
    without_padding(connection)  # type: ignore[arg-type]
    connection.send_packet(MSG_IGNORE, String(b"noise"))
    assert connection.sent == [MSG_IGNORE]
