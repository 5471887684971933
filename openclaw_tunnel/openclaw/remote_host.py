"""What the settings on a gateway's own host say of it: its port, and what it asks of its clients. Pure.

They are read as OpenClaw 2026.9.6 reads them there, as far as that works remotely: no include is followed, and no
reference is resolved that needs that computer's files or programs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import Document, Section, parse_document
from openclaw_tunnel.openclaw.credentials.secretref import Secret, SecretRef, Unresolved, plain_input, read_input
from openclaw_tunnel.openclaw.dotenv import parse_dotenv
from openclaw_tunnel.openclaw.envsubst import Substitution
from openclaw_tunnel.openclaw.includes import INCLUDE
from openclaw_tunnel.openclaw.layers import Layers
from openclaw_tunnel.openclaw.paths import (
    config_file,
    dotenv_files,
    environment_port,
    full_path,
    openclaw_home,
    profile_of,
    profile_port,
    variable,
)

_ELSEWHERE = f"is in another file ({INCLUDE}), which is not read from here"
_HINT = "check the file on that computer with: openclaw config validate"


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the gateway's host; ``problem`` says why it has no content."""

    path: str
    content: bytes = field(default=b"", repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Everything that was read on the gateway's host.

    Attributes:
        home: the account's home folder.
        env: HOME and the OPENCLAW_* variables of a login shell.
        files: those of ``candidates`` that exist, by path.
        folders: the state folders that exist.
        problem: why nothing could be read; empty where all went well.
    """

    home: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, RemoteFile] = field(default_factory=dict)
    folders: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RemoteGateway:
    """What is known of the gateway; None or empty where nothing is said.

    Attributes:
        path: its openclaw.json; empty: there is none.
        port: where it listens; None: OpenClaw's own default holds, 18789.
        token_source, password_source: where that was found.
        auth_mode: ``token``, ``password``, ``none`` or ``trusted-proxy``; empty: not known.
        token_problem, password_problem: why one that is configured cannot be had from here; completes
            "gateway.auth.token ...".
        mode: ``gateway.mode`` there: with ``remote`` that computer is a client itself.
        tls: it speaks wss.
        problem: why the settings, or a part of them, could not be read.
    """

    path: str = ""
    port: int | None = None
    auth_mode: str = ""
    token: Secret | None = None
    token_source: str = ""
    token_problem: str = ""
    password: Secret | None = None
    password_source: str = ""
    password_problem: str = ""
    mode: str = ""
    tls: bool = False
    problem: str = ""


def candidates(env: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders and the files to look at, given the variables of that host; HOME must be among them."""
    home = openclaw_home(env)
    own = variable(env, "OPENCLAW_STATE_DIR")
    states = [full_path(own, home)] if own else [home / ".openclaw", home / ".clawdbot"]
    configs = [state / name for state in states for name in ("openclaw.json", "clawdbot.json")]
    if path := variable(env, "OPENCLAW_CONFIG_PATH"):
        configs = [full_path(path, home)]
    return tuple(map(str, states)), tuple(dict.fromkeys(map(str, [*configs, *dotenv_files(env)])))


def absolute_variables(env: Mapping[str, str]) -> dict[str, str]:
    """The variables with relative paths made to start at the home folder of that host, not at a local folder."""
    paths = ("OPENCLAW_CONFIG_PATH", "OPENCLAW_STATE_DIR", "OPENCLAW_HOME")
    return {k: f"~/{v.strip()}" if k in paths and v.strip() and v.strip()[0] not in "/~" else v for k, v in env.items()}


def read_remote_gateway(settings: RemoteSettings) -> RemoteGateway:
    """Find what a client needs; never raises."""
    if settings.problem:
        return RemoteGateway(problem=settings.problem)
    layers = _with_dotenv(settings)
    path = str(config_file(settings.env, lambda p: str(p) in settings.files or str(p) in settings.folders))
    file = settings.files.get(path)
    if file is None:
        return _credentials(_port(RemoteGateway(), layers, None), layers, None)
    found = RemoteGateway(path=path, problem=file.problem and f"{path} {file.problem}")
    if file.problem:
        return _credentials(_port(found, layers, None), layers, None)
    try:
        document = parse_document(path, file.content, _HINT)
        layers.add_settings(document.root.section("env"))
        gateway = _gateway(document, layers.env)
        found = replace(
            found,
            mode=gateway.text("mode") or "",
            tls=bool(gateway.section("tls").flag("enabled")),
            problem=_includes(document, gateway),
        )
        return _credentials(_port(found, layers, gateway), layers, gateway)
    except ConfigError as error:
        return _credentials(_port(replace(found, problem=error.message), layers, None), layers, None)


def _with_dotenv(settings: RemoteSettings) -> Layers:
    layers = Layers(settings.env)
    for path in dotenv_files(settings.env):
        if file := settings.files.get(str(path)):
            layers.add_dotenv(path, parse_dotenv(file.content.decode("utf-8", "replace")))
    return layers


def _gateway(document: Document, env: Mapping[str, str]) -> Section:
    section = document.root.section("gateway")
    try:
        return replace(section, values=Substitution(env).apply(section.values, ("gateway",)))
    except RecursionError:
        raise document.error(("gateway",), "is nested too deeply") from None


def _includes(document: Document, gateway: Section) -> str:
    parts = {"a part of it": document.root, "gateway": gateway, "gateway.auth": gateway.section("auth")}
    found = (f"{document.path}: {name} {_ELSEWHERE}" for name, part in parts.items() if INCLUDE in part.values)
    return next(found, "")


def _port(found: RemoteGateway, layers: Layers, gateway: Section | None) -> RemoteGateway:
    profile = profile_of(layers.env)
    port = environment_port(layers.env) or (gateway.port("port") if gateway else None)
    return replace(found, port=port or (profile_port(profile) if profile else None))


def _credentials(found: RemoteGateway, layers: Layers, gateway: Section | None) -> RemoteGateway:
    auth = gateway.section("auth") if gateway else None
    token, token_source, token_problem = _credential("token", auth, layers)
    password, password_source, password_problem = _credential("password", auth, layers)
    mode = (auth.text("mode") or "") if auth else ""
    if not mode and (token or token_problem) and not (password or password_problem):
        mode = "token"
    if not mode and (password or password_problem) and not (token or token_problem):
        mode = "password"
    return replace(
        found,
        auth_mode=mode,
        token=token,
        token_source=token_source,
        token_problem=token_problem,
        password=password,
        password_source=password_source,
        password_problem=password_problem,
    )


def _credential(kind: str, auth: Section | None, layers: Layers) -> tuple[Secret | None, str, str]:
    """The value, where it was found, and why it cannot be had; openclaw.json comes before the environment."""
    value = read_input(auth.values.get(kind), {}, shorthand=True) if auth else None
    if isinstance(value, SecretRef) and value.source == "env" and layers.env.get(value.id, "").strip():
        return Secret(layers.env[value.id].strip()), _source(value.id, layers), ""
    if isinstance(value, SecretRef):
        where = f"the variable {value.id}" if value.source == "env" else f"a reference ({value})"
        return None, "", f"is kept in {where}, which cannot be read from here"
    if isinstance(value, Secret):
        return value, f"gateway.auth.{kind}", ""
    name = f"OPENCLAW_GATEWAY_{kind.upper()}"
    variable = value or plain_input(layers.env.get(name))
    if isinstance(variable, Unresolved):
        return None, "", variable.why
    if variable is None and auth and INCLUDE in auth.values:
        return None, "", _ELSEWHERE
    return variable, _source(name, layers) if variable else "", ""


def _source(name: str, layers: Layers) -> str:
    return f"{name} of {layers.sources[name]}" if name in layers.sources else name
