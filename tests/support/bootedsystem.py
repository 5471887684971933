"""A computer that boots systemd, for what only logind and the system's manager can show."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import openclaw_tunnel
from support.process import Child, missing, program, root_required, tail
from support.waiting import wait_until

_SCRIPT = Path(__file__).with_name("bootedsystem.sh")
_PROGRAM = """\
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python{version} -c '
import sys
sys.path.insert(0, "/opt/packages")
sys.argv[0] = "openclaw-tunnel"
from openclaw_tunnel.cli.main import main
sys.exit(main())' "$@"
"""


def boot(script: str, files: Mapping[str, str] | None = None, *, timeout: float = 90.0) -> tuple[int, str, str]:
    """Boot, run ``script`` as root in bash, power off; its exit code, stdout and stderr.

    The network is the caller's; ``openclaw-tunnel`` is in /usr/local/bin.

    Args:
        files: contents by name, to be found in /exchange.
    """
    root_required("namespaces for a systemd of its own")
    for name in ("unshare", "loginctl", "su", "useradd"):
        program(name)
    for path in ("/lib/systemd/systemd", "/lib/systemd/systemd-logind", "/usr/bin/dbus-daemon"):
        if not Path(path).exists():
            missing(f"{path} is not installed")
    unified = Path("/sys/fs/cgroup/unified")
    cgroup = (unified if unified.is_dir() else Path("/sys/fs/cgroup")) / f"tunnelboot.{os.getpid()}"
    folder = Path(tempfile.mkdtemp(prefix="oct-"))
    folder.chmod(0o755)
    (folder / "console").touch()
    for file, text in (files or {}).items():
        (folder / file).write_text(text)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "openclaw-tunnel").write_text(_PROGRAM.format(version=version))
    install = "install -m 755 /exchange/openclaw-tunnel /usr/local/bin/openclaw-tunnel\n"
    (folder / "script").write_text(install + script)
    cgroup.mkdir()
    namespaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child"]
    packages = Path(openclaw_tunnel.__file__).parents[1]
    inner: list[str | Path] = ["bash", _SCRIPT, folder, sys.base_prefix, packages]
    enter: list[str | Path] = ["bash", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', cgroup, "unshare", *namespaces]
    child = Child([*enter, *inner], folder / "log")
    try:
        wait_until(lambda: not child.running, timeout, "the end of the computer")
        assert (folder / "code").exists(), f"it did not boot:\n{tail(child.log)}\n{tail(folder / 'console')}"
        return (
            int((folder / "code").read_text().strip() or 0),
            (folder / "out").read_text(),
            (folder / "err").read_text(),
        )
    finally:
        child.kill()
        wait_until(lambda: _removed(cgroup), 10, f"the end of {cgroup}")
        shutil.rmtree(folder)


def _removed(cgroup: Path) -> bool:
    """Remove a control group and those in it; False where a process of theirs still ends."""
    try:
        for folder in sorted(cgroup.rglob("*/"), key=lambda path: -len(path.parts)):
            folder.rmdir()
        cgroup.rmdir()
    except FileNotFoundError:
        return not cgroup.exists()
    except OSError:
        return False
    return True
