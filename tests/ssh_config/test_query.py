"""resolve_ssh against the real ssh; for what cannot be had from it, against a script in its place."""

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.errors import ConfigError, ExitCode, HelperError, NameNotFound, UsageError
from openclaw_tunnel.ssh_config.complaint import complaint
from openclaw_tunnel.ssh_config.destination import Destination, parse_destination
from openclaw_tunnel.ssh_config.processor import computes_aes
from openclaw_tunnel.ssh_config.query import SshTarget, build_argv, find_ssh, resolve_ssh
from openclaw_tunnel.ssh_config.tokens import Account
from support.aio import async_test, pass_time

ENV = {"PATH": os.environ["PATH"]}
HOME = Account.of_process().home
SECONDS = 50
"""Longest wait for anything that is to happen."""


class Config:
    """A file for -F; ``config("gw", text)`` is what ssh makes of ``gw`` with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config"

    def __call__(self, target: str, text: str, **more: Any) -> SshTarget:
        self.file.write_text(text)
        env = {**ENV, **more.pop("env", {})}
        return asyncio.run(resolve_ssh(target, ssh_config=str(self.file), env=env, **more))

    def error(self, target: str, text: str, **more: Any) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            self(target, text, **more)
        return caught.value

    def passing(self, target: str, text: str, **more: Any) -> HelperError:
        with pytest.raises(HelperError) as caught:
            self(target, text, **more)
        return caught.value


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(tmp_path)


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_nothing_configured(config: Config) -> None:
    target = config("gw.example", "")
    assert (target.original, target.alias, target.hostname, target.port) == (
        "gw.example",
        "gw.example",
        "gw.example",
        22,
    )
    assert target.user == Account.of_process().name
    assert (target.ciphers[:2] == ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")) is computes_aes()
    assert set(target.ciphers) > {"aes256-ctr"}
    assert not target.identity_files_explicit
    assert f"{HOME}/.ssh/id_ed25519" in target.identity_files
    assert target.user_known_hosts_files[0] == f"{HOME}/.ssh/known_hosts"
    assert target.connect_timeout is None
    assert target.rekey_limit is None


@pytest.mark.parametrize("typed", ["me@gw:2222", "ssh://me@gw:2222", "me@[::1]:2222", "gw:2222", "me@gw", "::1"])
def test_what_was_typed_beats_the_file(config: Config, typed: str) -> None:
    asked = parse_destination(typed)
    target = config(typed, "Host *\n  User other\n  Port 99\n")
    assert target.original == typed
    assert (target.hostname, target.user, target.port) == (asked.host, asked.user or "other", asked.port or 99)


def test_include_match_and_tokens(config: Config) -> None:
    included = config.folder / "more"
    included.write_text("Host gw\n  HostName %h.example\n  ProxyCommand nc %h %p %n\nMatch user bob\n  Port 2200\n")
    target = config(
        "gw",
        f'Include {included}\nMatch exec "test %n = gw"\n  User bob\n  IdentityFile ~/keys/%h\nInclude {included}\n',
    )
    assert (target.hostname, target.user, target.port) == ("gw.example", "bob", 2200)
    assert target.proxy_command == "nc gw.example 2200 gw"
    assert target.identity_files == (f"{HOME}/keys/gw.example",)
    assert target.identity_files_explicit
    assert target.files[:2] == (str(config.file), str(included))


def test_tokens_come_out_as_ssh_expands_them(config: Config) -> None:
    tokens = "%C-%i-%k-%L-%l-%n-%p-%r-%u"
    target = config("me@gw:2222", f"HostName real\nIdentityFile /k/{tokens}\nUserKnownHostsFile /k/{tokens}\n")
    assert target.identity_files == target.user_known_hosts_files  # ssh has expanded the second, we the first


def test_jump_hosts_in_the_order_of_dialling(config: Config) -> None:
    target = config("gw", "ProxyJump a@j1:22,[fe80::1]:2222,ssh://x@y:33\n")
    assert target.proxy_jump == ("a@j1:22", "[fe80::1]:2222", "x@y:33")
    assert [parse_destination(hop).port for hop in target.proxy_jump] == [22, 2222, 33]


def test_local_forwards(config: Config) -> None:
    target = config(
        "gw",
        "LocalForward 18789 127.0.0.1:18789\nLocalForward [::1]:8080 localhost:80\nLocalForward *:1 db:2\n"
        'LocalForward "/tmp/a b" /run/%n.sock\n',
    )
    assert target.local_forwards == (
        Forward(Endpoint("127.0.0.1", 18789), Endpoint("127.0.0.1", 18789), dual=True),
        Forward(Endpoint("::1", 8080), Endpoint("localhost", 80)),
        Forward(Endpoint("0.0.0.0", 1), Endpoint("db", 2)),
        Forward(Endpoint(path="/tmp/a b"), Endpoint(path="/run/gw.sock")),
    )


def test_time_values_are_seconds(config: Config) -> None:
    target = config("gw", "ServerAliveInterval 1m\nServerAliveCountMax 5\nConnectTimeout 1m30s\nRekeyLimit 1G 1h\n")
    assert (target.server_alive_interval, target.server_alive_count_max) == (60, 5)
    assert target.connect_timeout == 90.0
    assert target.rekey_limit == (1 << 30, 3600)


AGENTS = {
    "SSH_AUTH_SOCK": None,
    "none": "",
    "$MY_SOCK": "/run/mine",
    "$NO_SOCK": "",
    "${MY_SOCK}": "/run/mine",
    "~/agent-%h": f"{HOME}/agent-gw",
}


@pytest.mark.parametrize(("value", "wanted"), AGENTS.items(), ids=AGENTS)
def test_identity_agent(config: Config, value: str, wanted: str | None) -> None:
    assert config("gw", f"IdentityAgent {value}\n", env={"MY_SOCK": "/run/mine"}).identity_agent == wanted


def test_paths_with_blanks(config: Config) -> None:
    spaced = config.folder / "with blank"
    spaced.mkdir()
    (spaced / "hosts").touch()
    target = config(
        "gw",
        f'IdentityFile "{spaced}/key"\nUserKnownHostsFile /k "{spaced}/hosts"\n'
        f'GlobalKnownHostsFile "{spaced}/hosts" x\n',
    )
    assert target.identity_files == (f"{spaced}/key",)
    assert target.user_known_hosts_files == ("/k", f"{spaced}/hosts")
    assert target.global_known_hosts_files == (f"{spaced}/hosts", os.path.join(os.getcwd(), "x"))


def test_none_is_no_file(config: Config) -> None:
    target = config(
        "gw", "UserKnownHostsFile none\nGlobalKnownHostsFile none\nIdentityFile none\nRevokedHostKeys none\n"
    )
    assert target.user_known_hosts_files == target.global_known_hosts_files == target.identity_files == ()
    assert target.revoked_host_keys == ""


def test_a_given_identity_comes_first(config: Config) -> None:
    key = config.folder / "key"
    key.touch()
    target = config("gw", "IdentityFile /other\n", identity=str(key))
    assert target.identity_files == (str(key), "/other")


def test_ciphers_of_the_user_stay(config: Config) -> None:
    assert config("gw", "Ciphers aes256-ctr,aes128-gcm@openssh.com\n").ciphers == (
        "aes256-ctr",
        "aes128-gcm@openssh.com",
    )


def test_the_variable_stands_in_for_the_option(config: Config) -> None:
    config.file.write_text("Port 77\n")
    env = {**ENV, "OPENCLAW_TUNNEL_SSH_CONFIG": str(config.file)}
    assert asyncio.run(resolve_ssh("gw", env=env)).port == 77
    other = config.folder / "other"
    other.write_text("Port 78\n")
    assert asyncio.run(resolve_ssh("gw", ssh_config=str(other), env=env)).port == 78


def test_no_file_at_all() -> None:
    target = asyncio.run(resolve_ssh("gw", ssh_config="none", env=ENV))
    assert (target.port, target.files[0]) == (22, f"{HOME}/.ssh/known_hosts")


def test_files_of_user_and_system_are_watched_before_they_exist(tmp_path: Path) -> None:
    script(tmp_path / "ssh", "echo hostname gw; echo 'debug1: Reading configuration data /etc/extra.conf' >&2")
    files = asyncio.run(resolve_ssh("gw", env={"PATH": str(tmp_path)})).files
    assert files == (f"{HOME}/.ssh/config", "/etc/ssh/ssh_config", "/etc/extra.conf")


MISTAKES = {
    "Port 22\nTypo yes\n": "line 2: Bad configuration option: typo",
    "Port 0\n": "line 1: Bad port '0'",
    "ServerAliveInterval soon\n": "line 1: invalid time value (ServerAliveInterval)",
    "Ciphers rot13\n": "line 1: Bad SSH2 cipher spec 'rot13' (Ciphers)",
    '# fine\nUser "me\n': "line 2: invalid quotes (User)",
    "LocalForward 1\n": "line 1: Missing target argument (LocalForward)",
}


@pytest.mark.parametrize(("text", "words"), MISTAKES.items(), ids=MISTAKES)
def test_a_mistake_is_named_with_file_line_and_directive(config: Config, text: str, words: str) -> None:
    error = config.error("gw", text)
    assert error.message == f"{config.file} {words}"
    assert error.hint == f"fix that line of the ssh configuration, try: ssh -G -F {config.file} gw"
    assert error.exit_code == 10


def test_a_mistake_in_an_included_file(config: Config) -> None:
    included = config.folder / "more"
    included.write_text("\n  Bogus geheim\n")
    error = config.error("gw", f"Include {included}\n")
    assert error.message == f"{included} line 2: Bad configuration option: bogus"
    assert "geheim" not in error.message + error.hint


def test_words_of_ssh_without_a_line(config: Config) -> None:
    error = config.error("gw", "UserKnownHostsFile /x/%z\n")
    assert error.message == (
        "ssh cannot use its configuration: vdollar_percent_expand: unknown key %z; percent_dollar_expand: failed"
    )
    assert error.hint == f"try: ssh -G -F {config.file} gw"


def test_an_ssh_that_fails_without_a_word(config: Config) -> None:
    script(config.folder / "ssh", "exit 255")
    error = config.passing("gw", "", env={"PATH": str(config.folder)})
    command = f"ssh -G -F {config.file} gw"
    assert (error.message, error.command) == (f"{command} failed: it gave no reason (exit code 255)", command)


def test_an_ssh_that_prints_nothing(config: Config) -> None:
    """Whose output would be taken for settings: no revoked keys, no proxy."""
    script(config.folder / "ssh", "exit 0")
    assert "no reason (exit code 0)" in config.passing("gw", "", env={"PATH": str(config.folder)}).message


@pytest.mark.parametrize("arguments", ["*", "*none*"], ids=["of both questions", "of the second"])
def test_an_ssh_that_is_killed(config: Config, arguments: str) -> None:
    script(config.folder / "ssh", f'case "$*" in {arguments}) kill -9 $$;; esac; echo hostname gw')
    error = config.passing("gw", "", env={"PATH": str(config.folder)})
    assert error.message == f"ssh -G -F {config.file} gw was ended by SIGKILL"


PASSING = [
    "ssh: error while loading shared libraries: libcrypto.so.3: cannot open shared object file",
    "OpenSSL version mismatch. Built against 300000b0, you have 30000130",
    "fork: Resource temporarily unavailable",
    "/home/me/.ssh/config: Too many open files",
    "No user exists for uid 1000",
    "command 'x' exited abnormally\n/c line 1: match exec 'x' error",
]


@pytest.mark.parametrize("said", PASSING)
def test_what_passes_is_not_blamed_on_a_file(said: str) -> None:
    error = complaint(255, f"OpenSSH_9.2p1\n{said}\n", "ssh -G gw")
    assert isinstance(error, HelperError)
    assert error.message == f"ssh -G gw failed: {said.replace(chr(10), '; ')}"
    assert (error.exit_code, error.command) == (ExitCode.CONFIG, "ssh -G gw")


def test_another_program_in_its_place_that_fails_is_no_fault_of_a_file() -> None:
    error = complaint(127, "/c line 3: ssh: not found", "ssh -G gw")
    assert isinstance(error, HelperError)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "debug1: ssh: Could not resolve hostname web.corp.example.: No address associated with hostname\n"
            'ssh: Could not resolve host "web"',
            "cannot find the address of web: No address associated with hostname",
        ),
        (
            "ssh: Could not resolve hostname web: Temporary failure in name resolution",
            "cannot find the address of web: Temporary failure in name resolution",
        ),
        (
            'ssh: Could not resolve host "web"',
            "cannot find the address of web: CanonicalizeHostname finds it in no domain",
        ),
    ],
)
def test_a_name_that_is_not_found(said: str, message: str) -> None:
    error = complaint(255, said, "ssh -G web")
    assert isinstance(error, NameNotFound)
    assert error.message == message


def test_a_canonical_name_that_the_resolver_does_not_have(config: Config) -> None:
    text = "CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\nCanonicalDomains nowhere.invalid\n"
    error = config.passing("web", text)
    assert isinstance(error, NameNotFound)
    assert error.message.startswith("cannot find the address of web: ")


def test_a_match_exec_that_is_killed(config: Config) -> None:
    error = config.passing("gw", 'Match exec "kill -9 $$"\n  Port 3\n')
    assert error.message.endswith("line 1: match exec 'kill -9 $$' error")


def test_a_named_line_that_cannot_be_read(config: Config) -> None:
    script(config.folder / "ssh", "echo '/nowhere/config line 3: bad thing.' >&2; exit 255")
    error = config.error("gw", "", env={"PATH": str(config.folder)})
    assert error.message == "/nowhere/config line 3: bad thing"


def test_no_ssh(config: Config) -> None:
    error = config.passing("gw", "", env={"PATH": str(config.folder)})
    assert error.message == "there is no ssh on PATH"
    assert error.hint == "install the OpenSSH client (package openssh-client)"


def test_an_ssh_that_cannot_be_started(config: Config) -> None:
    broken = config.folder / "ssh"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    error = config.passing("gw", "", env={"PATH": str(config.folder)})
    assert error.message == f"{broken} cannot be started: No such file or directory"
    assert error.hint == "check the OpenSSH client with: ssh -V"


def test_an_older_ssh_without_defaults_is_no_error(config: Config) -> None:
    script(
        config.folder / "ssh",
        'case "$*" in *"-F none"*) exit 255;; esac; echo hostname gw; echo ciphers aes256-ctr,aes128-gcm@openssh.com',
    )
    target = config("gw", "", env={"PATH": str(config.folder)})
    assert target.ciphers == ("aes256-ctr", "aes128-gcm@openssh.com")
    assert (target.user, target.port) == ("", 22)


@pytest.mark.parametrize("option", ["ssh_config", "identity"])
def test_a_given_file_that_does_not_exist(tmp_path: Path, option: str) -> None:
    what = {"ssh_config": "ssh configuration file", "identity": "identity file"}[option]
    for path, reason in ((tmp_path / "no", "cannot be read: No such file or directory"), (tmp_path, "is a folder")):
        given: dict[str, Any] = {option: str(path)}
        with pytest.raises(ConfigError) as caught:
            asyncio.run(resolve_ssh("gw", env=ENV, **given))
        assert caught.value.message == f"{what} {path} {reason}"
        assert caught.value.hint


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(ConfigError, match="cannot be read: embedded null byte"):
        asyncio.run(resolve_ssh("gw", ssh_config="a\0b", env=ENV))


def test_no_destination() -> None:
    with pytest.raises(UsageError, match="not an SSH destination: '-oProxyCommand=id'"):
        asyncio.run(resolve_ssh("-oProxyCommand=id", env=ENV))


class Hanging:
    """A ``Match exec`` that never ends, and tells through a FIFO that it runs and that it is gone."""

    def __init__(self, folder: Path) -> None:
        self._fifo = folder / "alive"
        os.mkfifo(self._fifo)
        self._end = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        program = script(folder / "hang", f"exec 9>{self._fifo}; echo x >&9; exec sleep 600")
        self.text = f'Match exec "{program}"\n  Port 1\n'

    async def runs(self) -> None:
        assert await self._read() == b"x\n"

    async def is_gone(self) -> None:
        assert await self._read() == b""

    async def _read(self) -> bytes:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._end, ready.set)
        try:
            async with asyncio.timeout(SECONDS):
                await ready.wait()
        finally:
            loop.remove_reader(self._end)
        return os.read(self._end, 100)

    def close(self) -> None:
        os.close(self._end)


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Hanging]:
    program = Hanging(tmp_path)
    yield program
    program.close()


@async_test
async def test_a_match_exec_that_hangs_is_ended_with_all_its_children(config: Config, hanging: Hanging) -> None:
    config.file.write_text(hanging.text)

    async def hang() -> None:
        await hanging.runs()
        await pass_time(30, lambda: True)

    async with asyncio.TaskGroup() as group:
        group.create_task(hang())
        with pytest.raises(HelperError) as caught:
            await resolve_ssh("gw", ssh_config=str(config.file), env=ENV, timeout=30)
    assert caught.value.message == "ssh -G gw did not answer within 30 s"
    assert caught.value.hint == (f"a Match exec of the ssh configuration may hang: try: ssh -G -F {config.file} gw")
    assert caught.value.exit_code == ExitCode.CONFIG
    await hanging.is_gone()


@async_test
async def test_where_ssh_hangs_nothing_else_is_looked_at(config: Config, hanging: Hanging) -> None:
    """A home on a network that is away stops whoever looks: ssh, not the event loop with all tunnels."""
    config.file.write_text(hanging.text)

    async def hang() -> None:
        await hanging.runs()
        await pass_time(30, lambda: True)

    async with asyncio.TaskGroup() as group:
        group.create_task(hang())
        with pytest.raises(HelperError, match="did not answer"):
            await resolve_ssh("gw", ssh_config=str(config.file), identity="/no/key", env=ENV, timeout=30)


def test_cancelling_ends_ssh_with_all_its_children(config: Config, hanging: Hanging) -> None:
    config.file.write_text(hanging.text)

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(resolve_ssh("gw", ssh_config=str(config.file), env=ENV, timeout=SECONDS))
            await hanging.runs()
            task.cancel()
        assert task.cancelled()
        await hanging.is_gone()

    asyncio.run(run())


def test_the_command_line() -> None:
    assert build_argv("/bin/ssh", Destination("gw")) == ["/bin/ssh", "-G", "-v", "--", "gw"]
    assert build_argv("/bin/ssh", Destination("gw", "me", 2222), ssh_config="/c", identity="/k") == (
        ["/bin/ssh", "-G", "-v", "-F", "/c", "-p", "2222", "-l", "me", "-i", "/k", "--", "gw"]
    )


def test_which_ssh(tmp_path: Path) -> None:
    mine = script(tmp_path / "ssh", "")
    assert find_ssh({"PATH": f"/nowhere:{tmp_path}"}, "linux") == mine
    system = Path("/usr/bin/ssh")
    if stat.S_IXUSR & system.stat().st_mode:
        assert find_ssh({"PATH": str(tmp_path)}, "darwin") == str(system)


def test_a_removed_working_folder_is_no_obstacle(tmp_path: Path, in_folder: Callable[[Path], None]) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    in_folder(folder)
    folder.rmdir()
    assert asyncio.run(resolve_ssh("gw", ssh_config="none", env=ENV)).port == 22


def test_a_file_that_others_can_write_to(config: Config, tmp_path: Path) -> None:
    """ssh says so of the user's own file only, not of one given with -F."""
    script(tmp_path / "ssh", "echo 'Bad owner or permissions on /home/a b/.ssh/config' >&2; exit 255")
    error = config.error("gw", "", env={"PATH": str(tmp_path)})
    assert error.message == "ssh cannot use its configuration: Bad owner or permissions on /home/a b/.ssh/config"
    assert error.hint == "let nobody else write to it: chmod 600 '/home/a b/.ssh/config'"
