"""The services that the files in launchd/ and systemd/ show."""

from pathlib import Path

from openclaw_tunnel.core.spec import Endpoint
from openclaw_tunnel.service import render
from openclaw_tunnel.service.spec import PlainSpec, ServiceSpec

ROOT = Path(__file__).parents[2]
_PROGRAM = ".local/bin/openclaw-tunnel"
_PORT = (Endpoint("127.0.0.1", 18789),)
_TARGET = ("gateway-host",)

MAC = ServiceSpec(
    "default", f"/Users/me/{_PROGRAM}", _TARGET, log_dir="/Users/me/Library/Logs/openclaw-tunnel", home="/Users/me"
)
MAC_ON_DEMAND = ServiceSpec("default", MAC.program, _TARGET, listen=_PORT, log_dir=MAC.log_dir)
LINUX = ServiceSpec("default", f"/home/me/{_PROGRAM}", _TARGET, home="/home/me")
LINUX_ON_DEMAND = ServiceSpec("default", LINUX.program, _TARGET, listen=_PORT, home="/home/me")
TEMPLATE = ServiceSpec("", LINUX.program, home="/home/me")
SYSTEM = ServiceSpec("default", "/usr/local/bin/openclaw-tunnel", ("me@gateway-host",), system=True)
PLAIN = PlainSpec("default", ("-N", "remote-gateway"))

FILES = {
    "launchd/ai.openclaw.ssh-tunnel.plist": render.render_plist(MAC),
    "launchd/on-demand/ai.openclaw.ssh-tunnel.plist": render.render_plist(MAC_ON_DEMAND),
    "launchd/plain-ssh/ai.openclaw.ssh-tunnel.plist": render.render_plain_plist(PLAIN),
    "systemd/openclaw-tunnel.service": render.render_service(LINUX),
    "systemd/openclaw-tunnel@.service": render.render_service(TEMPLATE),
    "systemd/on-demand/openclaw-tunnel.service": render.render_service(LINUX_ON_DEMAND),
    "systemd/on-demand/openclaw-tunnel.socket": render.render_socket(LINUX_ON_DEMAND),
    "systemd/system/openclaw-tunnel.service": render.render_service(SYSTEM),
    "systemd/system/sysusers.d/openclaw-tunnel.conf": render.render_account(),
    "systemd/plain-ssh/openclaw-tunnel.service": render.render_plain_service(PLAIN),
}


def write() -> None:
    """Write them anew, after the renderer changed: ``PYTHONPATH=.:tests python -m support.serviceexamples``."""
    for path, text in FILES.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    write()
