"""Starting the daemon: its environment, and what is said when it does not come up."""

import os
from pathlib import Path

from openclaw_tunnel.control.lock import DaemonLock
from openclaw_tunnel.daemon.standby import child_environment
from openclaw_tunnel.host.paths import Paths
from support.cli import Cli, environment
from support.waiting import free_port


def test_an_installed_package_needs_no_help() -> None:
    env = {"PATH": "/bin", "SSH_AUTH_SOCK": "/run/agent"}
    assert child_environment(env, Path("/site"), ["/site"]) == env


def test_a_checkout_is_put_on_the_path_before_what_is_there() -> None:
    assert child_environment({}, Path("/src"), ["/site"]) == {"PYTHONPATH": "/src"}
    assert child_environment({"PYTHONPATH": "/x"}, Path("/src"), []) == {"PYTHONPATH": "/src:/x"}


def test_paths_mean_the_same_in_the_folder_of_the_daemon() -> None:
    env = {"OPENCLAW_TUNNEL_HOME": "mine", "OPENCLAW_STATE_DIR": "~/s", "OPENCLAW_TUNNEL_SSH_CONFIG": "none"}
    changed = child_environment(env, Path("/site"), ["/site"])
    assert changed == {**env, "OPENCLAW_TUNNEL_HOME": os.path.abspath("mine")}


def test_a_relative_home_is_one_and_the_same_for_command_and_daemon(cli: Cli) -> None:
    relative = {"OPENCLAW_TUNNEL_HOME": "rel"}  # commands of these tests run in cli.home
    assert cli("up", "-d", "me@127.0.0.1:1", "-p", str(free_port()), env=relative).exit_code == 20
    assert cli("status", env=relative).exit_code == 1
    assert cli("down", env=relative).exit_code == 0


def test_a_lock_whose_holder_does_not_answer(cli: Cli) -> None:
    paths = Paths.from_env(environment(cli.home))
    paths.runtime_dir.mkdir(mode=0o700)
    with DaemonLock(paths.lock_path):
        answer = cli("up", "-d", "me@127.0.0.1")
    assert answer.exit_code == 70
    assert answer.stderr.startswith(
        "error: the background process did not start: another openclaw-tunnel daemon of this user runs (pid "
    )
    assert "\n\nhint: see what it said: " in answer.stderr


def test_a_daemon_that_dies_at_once_is_quoted(cli: Cli) -> None:
    """A folder where its log should be."""
    paths = Paths.from_env(environment(cli.home))
    paths.log_file.mkdir(parents=True)
    answer = cli("up", "-d", "me@127.0.0.1")
    assert answer.exit_code == 70
    assert answer.stderr.startswith(
        "error: the background process did not start: internal error: IsADirectoryError: [Errno 21] Is a directory"
    )
