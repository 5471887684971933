"""``openclaw-tunnel``: runs a command, turns what it raises into words and an exit code.

``status`` in its plain forms does without the command line parser, whose import takes as long as the answer:
status bars and scripts ask every few seconds. So does the daemon, and ``up -d`` starts that before it does anything
else.
"""

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from openclaw_tunnel.daemon.standby import COMMAND, dismiss_early, start_early
from openclaw_tunnel.errors import ExitCode, TunnelError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments without the program's name; by default the process's own.

    Returns:
        The exit code of the command line contract. Nothing but SystemExit is ever raised.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_closed_streams()
    _take_any_character()
    try:
        return _run(arguments)
    except TunnelError as error:
        _print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.NO
    except Exception as error:
        _print_error(_bug(error))
        return ExitCode.BUG
    finally:
        dismiss_early()
        _drop_what_cannot_be_written()


def _run(arguments: list[str]) -> int:
    quick = quick_status(arguments)
    if quick is not None:
        from openclaw_tunnel.cli.statusview import show

        code = show(*quick)
        sys.stdout.flush()
        return code
    if arguments in (["daemon"], list(COMMAND)):
        from openclaw_tunnel.cli.daemon import run as be_daemon

        return be_daemon(stands_by=len(arguments) > 1)
    start_early(arguments, os.environ)
    from openclaw_tunnel.cli.commandlog import keep_off_the_terminal
    from openclaw_tunnel.cli.registry import run

    keep_off_the_terminal()
    return run(arguments)


def quick_status(arguments: Sequence[str]) -> tuple[str | None, bool] | None:
    """NAME and ``--json`` of ``status [NAME] [--json]``; None for every other command line."""
    if not arguments or arguments[0] != "status":
        return None
    names = [word for word in arguments[1:] if word != "--json"]
    if len(names) > 1 or any(not word or word.startswith("-") for word in names):
        return None
    return (names[0] if names else None), "--json" in arguments


def _print_error(error: TunnelError) -> None:
    from openclaw_tunnel.ui.output import print_error  # not before the background process has been started

    print_error(error)


def _bug(error: Exception) -> TunnelError:
    """The error to show; the traceback goes to the log."""
    hint = "its traceback could not be written to the log"
    with contextlib.suppress(Exception):
        from openclaw_tunnel.cli.commandlog import note_bug

        hint = f"this is a bug of openclaw-tunnel; the log has the traceback: {note_bug(error)}"
    return TunnelError(f"internal error: {type(error).__name__}: {error}", hint=hint, exit_code=ExitCode.BUG)


def _open_closed_streams() -> None:
    """Give the null device to a stream that was closed (``status >&-``): the exit code is an answer, too.

    Also, a file or socket opened later would take the free number, and get what is written to that stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


def _take_any_character() -> None:
    """Have an answer with a character that the locale lacks show a question mark there, as names of users may need."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _drop_what_cannot_be_written() -> None:
    """Keep the interpreter from trying again at its end, and from an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
