"""A real tunnel that tells the desktop and the user's own commands what becomes of it."""

import json
from typing import Any

from support.cli import Cli
from support.faketool import Program
from support.servers import Sshd
from support.waiting import free_port, wait_until

WRITE = 'cat > "$HOME/$OPENCLAW_TUNNEL_EVENT.json"; echo "$OPENCLAW_TUNNEL_EVENT $OPENCLAW_TUNNEL_STATE" >> "$HOME/ran"'


def settings(cli: Cli) -> None:
    hook = ["sh", "-c", WRITE]
    cli.tunnel_home.mkdir(mode=0o700)
    file = cli.tunnel_home / "tunnels.json5"
    hooks = {"up": hook, "down": hook, "failure": hook}
    file.write_text(json.dumps({"hooks": hooks, "policy": {"backoffFirst": 0.2, "backoffMax": 0.5}}))
    file.chmod(0o600)


def ran(cli: Cli) -> list[str]:
    path = cli.home / "ran"
    return path.read_text().splitlines() if path.exists() else []


def test_killed_changed_and_mended(cli: Cli, sshd: Sshd) -> None:
    settings(cli)
    programs = cli.home / "bin"
    programs.mkdir()
    desktop = [Program(programs, name) for name in ("notify-send", "osascript")]
    notices: list[list[str]] = []

    def shown() -> list[list[str]]:
        notices.extend(call for program in desktop for call in program.calls())
        return notices

    def told(event: str) -> Any:
        return json.loads((cli.home / f"{event}.json").read_text())

    cli.env |= {"OPENCLAW_TUNNEL_TEST": "", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"}
    cli.env["PATH"] = f"{programs}:/usr/bin:/bin:/usr/sbin:/sbin"
    cli.use_ssh_config(sshd.ssh_config("gw"))
    answer = cli("up", "-d", "gw", "-p", str(free_port()), "--probe", "none")
    assert (answer.exit_code, answer.stderr) == (0, "")
    wait_until(lambda: ran(cli) == ["up up"], what="the hook up")
    assert (told("up")["state"], told("up")["ssh"]["connected"], told("up")["alias"]) == ("up", True, "gw")

    sshd.kill()
    wait_until(lambda: ran(cli) == ["up up", "down backoff"], what="the hook down")
    assert told("down")["failure"]["code"] == "lost"
    sshd.new_host_keys()
    sshd.start()
    wait_until(lambda: ran(cli)[2:] == ["failure failed"], what="the hook failure")
    assert told("failure")["failure"]["code"] == "host_key_changed"
    wait_until(shown, what="the notice")
    (notice,) = shown()
    assert "default: host key of 127.0.0.1" in " ".join(notice)
    assert "openclaw-tunnel trust" in " ".join(notice)

    sshd.ssh_config("gw")  # its known_hosts has the new key now
    wait_until(lambda: len(shown()) == 2, what="the second notice")
    assert "default: well again" in " ".join(shown()[1])
    wait_until(lambda: ran(cli)[3:] == ["up up"], what="the hook up, again")
    assert cli("down").exit_code == 0
    wait_until(lambda: ran(cli)[4:] == ["down stopping"], what="the hook down at the end")
