"""The numbers behind the behaviour; each is a setting of tunnels.json5. All times are seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient, how eager and how careful one tunnel is.

    The defaults and the reasons for them: the first retry comes at once because most losses are one dropped
    connection. A loss costs at most a tenth of the life before it: a connection that lasted ``stable_after`` or longer
    makes the tries before it forgotten, and the waits after it are short. One that dies earlier makes them longer,
    because resetting on connect loops at full speed against a server that accepts and drops.
    """

    connect_timeout: float = 10.0  # DNS, TCP, key exchange and login; an agent that lists its keys has as much
    channel_timeout: float = 10.0  # opening one direct-tcpip channel
    keepalive_interval: float = 15.0
    keepalive_count: int = 3
    stall: float = 3.0  # what clients sent is unanswered for so long: the server is asked whether it is still there
    check_slow: float = 1.0  # after sleep or a network change: no answer so long, and another connection is dialled
    check_timeout: float = 3.0  # no answer for so long: the connection is given up
    drain: float = 10.0  # its clients keep it for so long all the same, where no reason for the silence is known
    backoff_first: float = 1.0  # upper end of the jitter before the second retry
    backoff_max: float = 60.0
    dial_gap: float = 1.0  # waiting clients never cause more than one dial in this time
    stable_after: float = 2.0  # a connection that lasted so long does not count against the server
    flap_losses: int = 5  # so many losses ...
    flap_window: float = 300.0  # ... within this time are shown as flapping
    hold: float = 10.0  # a client that arrives while the link is down waits this long
    probe_interval: float = 15.0  # while UP
    probe_retry: float = 0.5  # after a failed probe, until there were too many of them
    probe_failures: int = 3  # so many in a row make the gateway count as down
    probe_degraded: float = 2.0  # while DEGRADED
    probe_timeout: float = 3.0  # three of them, and `up -d` still answers within 12 s
