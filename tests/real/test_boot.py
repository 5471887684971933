"""Services that need a computer that boots: linger, and the service of the whole system."""

import pytest

from support.bootedsystem import boot
from support.servers import Sshd
from support.waiting import free_port

pytestmark = pytest.mark.machine

HELPERS = """
no() {{ if "$@"; then exit 9; fi; }}
wait_up() {{ for _ in {{1..100}}; do "$@" openclaw-tunnel wait 2>/dev/null && return; sleep .1; done; exit 8; }}
"""

ACCOUNT = """
useradd --create-home --shell /bin/bash tunneltest
install -d -m 700 -o tunneltest -g tunneltest /home/tunneltest/.ssh
for file in config id_ed25519 known_hosts; do
  install -m 600 -o tunneltest -g tunneltest /exchange/$file /home/tunneltest/.ssh/$file
done
"""

LINGER = """
# No linger: it is offered, and --yes takes it.
su -l tunneltest -c 'openclaw-tunnel service install gw {options}' 2>&1 | grep 'note: it runs while you are logged in'
[ "$(loginctl show-user tunneltest --property=Linger --value)" = no ]
su -l tunneltest -c 'openclaw-tunnel service install gw {options} --yes'
[ "$(loginctl show-user tunneltest --property=Linger --value)" = yes ]
# Nobody is logged in any more, and the user's systemd starts with the computer.
uid=$(id -u tunneltest)
systemctl stop user@$uid
no pgrep -u tunneltest
systemctl start user@$uid
export XDG_RUNTIME_DIR=/run/user/$uid
wait_up runuser -u tunneltest --
timeout 5 bash -c 'head -c 7 </dev/tcp/127.0.0.1/{port}'
su -l tunneltest -c 'openclaw-tunnel service uninstall'
no pgrep -u tunneltest -f openclaw-tunnel
"""

SYSTEM = """
openclaw-tunnel service install --system gw {options} 2>&1
openclaw-tunnel service status --system
systemctl is-enabled openclaw-tunnel.service
# its account has no keys yet: it says so, and goes on once it has
sudo() {{ runuser -u openclaw-tunnel -- "$@"; }}
sudo openclaw-tunnel status || [ $? = 1 ]
install -d -m 700 -o openclaw-tunnel -g openclaw-tunnel /var/lib/openclaw-tunnel/.ssh
for file in config id_ed25519 known_hosts; do
  install -m 600 -o openclaw-tunnel -g openclaw-tunnel /exchange/$file /var/lib/openclaw-tunnel/.ssh/$file
done
openclaw-tunnel service restart --system
sudo openclaw-tunnel wait
timeout 5 bash -c 'head -c 7 </dev/tcp/127.0.0.1/{port}'
[ "$(ps -o user:32= -p "$(systemctl show -p MainPID --value openclaw-tunnel)")" = openclaw-tunnel ]
kill -9 "$(systemctl show -p MainPID --value openclaw-tunnel)"
wait_up sudo
sudo openclaw-tunnel down || [ $? = 40 ]  # root's to stop
systemctl is-active openclaw-tunnel
openclaw-tunnel service uninstall --system
no ls /etc/systemd/system/openclaw-tunnel* /etc/systemd/system/*/openclaw-tunnel* /etc/sysusers.d/openclaw-tunnel*
no pgrep -u openclaw-tunnel
"""


def run(script: str, sshd: Sshd, home: str) -> str:
    """Run it on a computer that has the key to ``sshd``; its stdout."""
    port = free_port()
    config = sshd.ssh_config("gw").read_text().replace(str(sshd.folder), f"{home}/.ssh")
    files = {
        "config": config,
        "id_ed25519": sshd.client_key.read_text(),
        "known_hosts": (sshd.folder / "known_hosts").read_text(),
    }
    options = f"-p {port} -r {sshd.port} --probe tcp"
    code, out, err = boot(script.format(options=options, port=port), files)
    assert code == 0, f"{out}\n{err[-3000:]}"
    return out


def test_linger(sshd: Sshd) -> None:
    out = run(HELPERS + ACCOUNT + LINGER, sshd, "/home/tunneltest")
    assert "linger is on: it runs from boot on" in out
    assert "SSH-2.0" in out


def test_the_service_of_the_whole_computer(sshd: Sshd) -> None:
    out = run(HELPERS + SYSTEM, sshd, "/var/lib/openclaw-tunnel")
    assert "active (running); starts at boot" in out
    assert "SSH-2.0" in out
    assert "removed: /etc/sysusers.d/openclaw-tunnel.conf" in out
