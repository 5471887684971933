"""The examples that ``--help`` and the manual page show, by command. A test has each command's own parser read them."""

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "up": ("up -d me@gateway-host", "up -n lab -p auto -L 8080:127.0.0.1:80 lab"),
    "status": ("status", "status lab --history", "status --json"),
    "wait": ("wait --timeout 60 && curl http://127.0.0.1:18789/healthz",),
    "restart": ("restart lab",),
    "down": ("down lab", "down --all"),
    "logs": ("logs -f", "logs lab -n 200"),
    "open": ("open", "open lab --print"),
    "health": ("health --json",),
    "probe": ("probe --timeout 3", "probe --direct"),
    "call": ("call config.get --params '{}'",),
    "setup": ("setup me@gateway-host", "setup --dry-run me@gateway-host"),
    "trust": ("trust me@gateway-host",),
    "doctor": ("doctor", "doctor --fix"),
    "config": ("config show", "config check"),
    "config show": ("config show --json",),
    "config path": ("config path --profile work",),
    "config check": ("config check",),
    "service": ("service install me@gateway-host", "service status"),
    "service install": ("service install me@gateway-host", "service install -n lab -p auto --on-demand lab"),
    "service print": ("service print --launchd me@gateway-host",),
    "service uninstall": ("service uninstall lab",),
    "service start": ("service start",),
    "service stop": ("service stop lab",),
    "service restart": ("service restart",),
    "service status": ("service status",),
    "link": ("link",),
    "unlink": ("unlink --yes",),
    "demo": ("demo", "demo --keep"),
    "completion": ("completion bash > ~/.openclaw-tunnel.bash",),
}


def epilog_of(path: str, program: str) -> str | None:
    """The end of a command's help, as click takes it; None of a command that has no examples.

    Args:
        path: the command's name, with that of its group before it.
    """
    lines = [f"  {program} {example}" for example in EXAMPLES.get(path, ())]
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", head, *lines]) if lines else None
