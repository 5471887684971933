"""What ssh -G prints -> SshTarget, without ssh."""

from collections.abc import Callable, Mapping

import pytest

from openclaw_tunnel.core.spec import Endpoint, Forward
from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.ssh_config.destination import Destination
from openclaw_tunnel.ssh_config.parse import Surroundings, build_target, parse_printed, split_paths
from openclaw_tunnel.ssh_config.target import SshTarget
from openclaw_tunnel.ssh_config.tokens import Account, expand_home, expand_tokens, home_of

ACCOUNT = Account(name="me", uid=501, home="/home/me", hostname="laptop.example.org")
DEFAULT_CIPHERS = "chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"


def home(user: str) -> str:
    return {"": "/home/me", "bob": "/home/bob"}[user]


def around(
    env: Mapping[str, str], exists: Callable[[str], bool] = lambda path: False, *, aes: bool = True
) -> Surroundings:
    return Surroundings(ACCOUNT, env, "/here", exists, home, computes_aes=aes)


def built(text: str, defaults: str = "", asked: str = "gw", *, aes: bool = True, **env: str) -> SshTarget:
    printed = parse_printed(f"host {asked}\nuser me\nhostname real.example\nport 2222\n{text}")
    return build_target(asked, Destination(asked), printed, parse_printed(defaults), around(env, aes=aes), ("/cfg",))


def test_the_least_that_ssh_prints() -> None:
    assert built("") == SshTarget("gw", "real.example", "me", 2222, alias="gw", files=("/cfg",))


def test_output_is_read_line_by_line() -> None:
    assert parse_printed("User me\nidentityfile a b\nidentityfile c\n\n") == {
        "user": ("me",),
        "identityfile": ("a b", "c"),
    }


SCALARS: dict[str, tuple[str, object]] = {
    "identitiesonly yes": ("identities_only", True),
    "pubkeyauthentication false": ("pubkey_authentication", False),
    "pubkeyauthentication unbound": ("pubkey_authentication", True),
    "proxyusefdpass yes": ("proxy_use_fdpass", True),
    "hostkeyalias other": ("host_key_alias", "other"),
    "hashknownhosts yes": ("hash_known_hosts", True),
    "updatehostkeys true": ("update_host_keys", "true"),
    "knownhostscommand /bin/kh %H ~": ("known_hosts_command", "/bin/kh %H ~"),
    "knownhostscommand none": ("known_hosts_command", ""),
    "requiredrsasize 2048": ("required_rsa_size", 2048),
    "macs a,b": ("macs", ("a", "b")),
    "kexalgorithms a,b": ("kex", ("a", "b")),
    "hostkeyalgorithms a": ("host_key_algorithms", ("a",)),
    "pubkeyacceptedalgorithms a": ("pubkey_accepted_algorithms", ("a",)),
    "casignaturealgorithms a": ("ca_signature_algorithms", ("a",)),
    "preferredauthentications publickey,password": ("preferred_authentications", ("publickey", "password")),
    "passwordauthentication no": ("password_authentication", False),
    "kbdinteractiveauthentication no": ("kbd_interactive_authentication", False),
    "numberofpasswordprompts 5": ("password_prompts", 5),
    "batchmode yes": ("batch_mode", True),
    "compression yes": ("compression", True),
    "addressfamily inet6": ("address_family", "inet6"),
    "bindaddress 10.0.0.1": ("bind_address", "10.0.0.1"),
    "serveraliveinterval 60": ("server_alive_interval", 60),
    "serveralivecountmax 5": ("server_alive_count_max", 5),
    "connecttimeout 90": ("connect_timeout", 90.0),
    "connecttimeout none": ("connect_timeout", None),
    "tcpkeepalive no": ("tcp_keepalive", False),
    "rekeylimit 1024 3600": ("rekey_limit", (1024, 3600)),
    "rekeylimit 0 0": ("rekey_limit", None),
    "identityagent none": ("identity_agent", ""),
    "identityagent SSH_AUTH_SOCK": ("identity_agent", None),
    "identityagent /run/agent": ("identity_agent", "/run/agent"),
    "identityagent agent.sock": ("identity_agent", "/here/agent.sock"),
    "identityagent $SOCK": ("identity_agent", "/tmp/sock"),
    "identityagent $UNSET": ("identity_agent", ""),
    "proxycommand nc %h %p %% %n %r $X": ("proxy_command", "nc real.example 2222 % gw me $X"),
    "proxycommand none": ("proxy_command", ""),
    "proxyjump a,b@c:1,[::1]:2": ("proxy_jump", ("a", "b@c:1", "[::1]:2")),
    "proxyjump none": ("proxy_jump", ()),
    "revokedhostkeys none": ("revoked_host_keys", ""),
    "revokedhostkeys ~/revoked": ("revoked_host_keys", "/home/me/revoked"),
    "userknownhostsfile none": ("user_known_hosts_files", ()),
    "userknownhostsfile /a ~/b": ("user_known_hosts_files", ("/a", "/home/me/b")),
    "globalknownhostsfile /a %h": ("global_known_hosts_files", ("/a %h",)),
    "certificatefile ~bob/%r-cert.pub": ("certificate_files", ("/home/bob/me-cert.pub",)),
    "identityfile none": ("identity_files", ()),
    "identityfile rel/key": ("identity_files", ("/here/rel/key",)),
    "identityfile ~/%h-%r-%d-%u-%i-%L-%l-%n-%p-%k": (
        "identity_files",
        ("/home/me/real.example-me-/home/me-me-501-laptop-laptop.example.org-gw-2222-gw",),
    ),
    "identityfile ${KEYS}/a%%b": ("identity_files", ("/keys/a%b",)),
}


@pytest.mark.parametrize(("line", "wanted"), SCALARS.items(), ids=SCALARS)
def test_each_setting(line: str, wanted: tuple[str, object]) -> None:
    target = built(f"{line}\n", SOCK="/tmp/sock", KEYS="/keys")
    assert getattr(target, wanted[0]) == wanted[1]


def test_a_jump_host_beats_a_proxy_command() -> None:
    target = built("proxyjump a\nproxycommand nc %z\n")
    assert (target.proxy_jump, target.proxy_command) == (("a",), "")


def test_tokens_know_host_key_alias_and_jump_host() -> None:
    assert built("hostkeyalias other\nproxyjump a,me@b:2\nidentityfile /%k/%j\n").identity_files == ("/other/b",)


def test_watched_are_all_files_once() -> None:
    target = built(
        "userknownhostsfile /kh /dev/null\nglobalknownhostsfile /gkh\nrevokedhostkeys /rev\n"
        "identityfile /key\nidentityfile /key\ncertificatefile /cert\n"
    )
    assert target.files == ("/cfg", "/kh", "/gkh", "/rev", "/key", "/cert")


def test_openssh_s_own_ciphers_get_aes_gcm_first() -> None:
    line = f"ciphers {DEFAULT_CIPHERS}\n"
    assert built(line, defaults=line).ciphers == (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes128-ctr",
    )


def test_openssh_s_own_ciphers_keep_their_order_on_a_processor_without_aes() -> None:
    line = f"ciphers {DEFAULT_CIPHERS}\n"
    assert built(line, defaults=line, aes=False).ciphers == tuple(DEFAULT_CIPHERS.split(","))


def test_the_user_s_ciphers_keep_their_order() -> None:
    mine = "aes128-ctr,aes128-gcm@openssh.com"
    for defaults in (f"ciphers {DEFAULT_CIPHERS}\n", ""):
        assert built(f"ciphers {mine}\n", defaults=defaults).ciphers == tuple(mine.split(","))


def test_keys_are_explicit_where_the_list_is_not_openssh_s() -> None:
    line = "identityfile ~/.ssh/id_rsa\n"
    assert not built(line, defaults=line).identity_files_explicit
    assert built(line, defaults=line + line).identity_files_explicit


FORWARDS: dict[str, Forward | None] = {
    "18789 [127.0.0.1]:18789": Forward(Endpoint("127.0.0.1", 18789), Endpoint("127.0.0.1", 18789), dual=True),
    "[127.0.0.1]:8080 [::1]:80": Forward(Endpoint("127.0.0.1", 8080), Endpoint("::1", 80)),
    "[*]:8081 [db]:5432": Forward(Endpoint("0.0.0.0", 8081), Endpoint("db", 5432)),
    "[]:1 [b]:2": Forward(Endpoint("0.0.0.0", 1), Endpoint("b", 2)),
    "[localhost]:84 [localhost]:84": Forward(Endpoint("127.0.0.1", 84), Endpoint("localhost", 84), dual=True),
    "/tmp/a b /c d": Forward(Endpoint(path="/tmp/a b"), Endpoint(path="/c d")),
    "/tmp/a [b]:2": Forward(Endpoint(path="/tmp/a"), Endpoint("b", 2)),
    "1 /tmp/sock": Forward(Endpoint("127.0.0.1", 1), Endpoint(path="/tmp/sock"), dual=True),
    "10.0.0.1/1 b/2": None,
    "0 [b]:2": None,
    "1 [b]:0": None,
    "1 /" + "x" * 200: None,
}


@pytest.mark.parametrize(("value", "wanted"), FORWARDS.items(), ids=FORWARDS)
def test_local_forward(value: str, wanted: Forward | None) -> None:
    assert built(f"localforward {value}\n").local_forwards == ((wanted,) if wanted else ())


def test_gateway_ports_opens_a_port_without_address_to_all() -> None:
    assert built("gatewayports yes\nlocalforward 1 [b]:2\n").local_forwards[0].listen == Endpoint("0.0.0.0", 1)


PATHS: list[tuple[str, set[str], tuple[str, ...]]] = [
    ("/a /b", set(), ("/a", "/b")),
    ("/a b /c", set(), ("/a b", "/c")),
    ("/a b", {"/a", "/here/b"}, ("/a", "b")),
    ("/a b c", {"/a", "/a b"}, ("/a b", "c")),
    ("/a /b", {"/a /b"}, ("/a /b",)),
    ("~/k h ~bob/x", {"/home/me/k h"}, ("~/k h", "~bob/x")),
    ("", set(), ()),
]


@pytest.mark.parametrize(("value", "files", "wanted"), PATHS)
def test_paths_without_quotes_are_parted_where_files_exist(
    value: str, files: set[str], wanted: tuple[str, ...]
) -> None:
    assert split_paths(value, around({}, files.__contains__)) == wanted


ERRORS = {
    "identityfile /%z": ("IdentityFile '/%z': no token %z", "see TOKENS in ssh_config(5)"),
    "identityfile /a%": ("IdentityFile '/a%': no token %", "see TOKENS in ssh_config(5)"),
    "proxycommand nc %H": ("ProxyCommand 'nc %H': no token %H", "see TOKENS in ssh_config(5)"),
    "identityfile ${NO}/k": ("IdentityFile '${NO}/k': the variable 'NO' is not set", "set it where openclaw-tunnel"),
    "identityfile ${NO": ("IdentityFile '${NO': the variable 'NO' is not set", "set it where openclaw-tunnel"),
    "certificatefile ~eve/k": ("CertificateFile '~eve/k': no user 'eve' on this computer", "write the path out"),
    "revokedhostkeys ~eve/k": ("RevokedHostKeys '~eve/k': no user 'eve' on this computer", "write the path out"),
    "proxyjump a b": ("ProxyJump 'a b': not an SSH destination: 'a b'", "write an alias of ssh_config"),
}


@pytest.mark.parametrize(("line", "words"), ERRORS.items(), ids=ERRORS)
def test_what_ssh_would_refuse_to_run_with(line: str, words: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        built(f"{line}\n")
    assert caught.value.message == words[0]
    assert caught.value.hint.startswith(words[1])


def test_a_shell_command_keeps_its_variables() -> None:
    assert expand_tokens("${A} %%", {"%": "%"}, None, "ProxyCommand") == "${A} %"


def test_home_is_that_of_the_password_database() -> None:
    account = Account.of_process()
    assert expand_home("~/x", "IdentityFile") == account.home + "/x"
    assert expand_home(f"~{account.name}", "IdentityFile") == account.home
    assert home_of() == account.home


def test_an_account_that_does_not_exist() -> None:
    with pytest.raises(ConfigError) as caught:
        Account.of_process(4_000_000_000)
    assert caught.value.message == "user id 4000000000 is not in the password database"
    assert caught.value.hint == "ssh cannot run for such a user either"
