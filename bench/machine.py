"""What a benchmark ran on."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from support.process import program

PACKAGES = ("asyncssh", "websockets", "click")


def machine(packages: tuple[str, ...] = PACKAGES, **others: str) -> dict[str, Any]:
    """What it is measured on.

    Args:
        packages: Python packages whose versions matter.
        others: versions of other programs.
    """
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    ssh = subprocess.run([program("ssh"), "-V"], capture_output=True, text=True).stderr.strip().partition(",")[0]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
        **others,
        "ssh": ssh,
        **{name: version(name) for name in packages},
    }


def autossh_version() -> str:
    """As it says."""
    return subprocess.run([program("autossh"), "-V"], capture_output=True, text=True).stdout.strip()
