"""openclaw.json as OpenClaw sees it: includes, ``.env`` files, ``env.vars`` and ``${NAME}`` done.

The order for a variable: the process's environment, ``.env`` of the working folder (never an ``OPENCLAW_*``), ``.env``
of the state folder, ``gateway.env``, ``env.vars`` of openclaw.json. The login shell that ``env.shellEnv`` allows
OpenClaw to ask is not asked here.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openclaw_tunnel.errors import ConfigError
from openclaw_tunnel.json5doc.document import Document, Section, load_document, too_deep
from openclaw_tunnel.openclaw.credentials.secretref import Secret, holds_reference
from openclaw_tunnel.openclaw.dotenv import read_dotenv
from openclaw_tunnel.openclaw.envsubst import Substitution
from openclaw_tunnel.openclaw.includes import include_all
from openclaw_tunnel.openclaw.paths import config_file, dotenv_files, include_roots

HINT = "check the file with: openclaw config validate"
WANTED = frozenset({"gateway", "env", "meta", "secrets"})
"""The parts of the file that have to do with a tunnel or its credentials."""

_YES = ("1", "true", "yes", "on")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NOT_FROM_FILES = frozenset({"OPENCLAW_INCLUDE_ROOTS", "OPENCLAW_CONFIG_READONLY"})
_DANGEROUS = re.compile(
    r"PATH|HOME|SHELL|ENV|IFS|BASH_ENV|(LD|DYLD|GIT|NODE|NPM_CONFIG|PYTHON|PERL5?|RUBY|SSH)_?\w*|OPENCLAW_ALLOW_\w*",
    re.IGNORECASE,
)
"""Variables that decide which program runs: a file may not set them for a program that a SecretRef starts."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The file and the environment that goes with it.

    Attributes:
        path: the file, whether it exists or not.
        document: the parts of ``WANTED``, complete; None where there is no file.
        env: the environment, with what the files add.
        sources: for a variable that a file gave: which.
        included: the files that were included.
        missing: variables that are referred to and not set, with the keys that name them.
        asks_shell: OpenClaw would ask the login shell for variables that are not set.
    """

    path: Path
    document: Document | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    sources: Mapping[str, str] = field(default_factory=dict)
    included: tuple[Path, ...] = ()
    missing: Mapping[str, list[str]] = field(default_factory=dict)
    asks_shell: bool = False


def read_openclaw(env: Mapping[str, str], cwd: Path | None = None) -> Loaded:
    """Find and read everything.

    Args:
        env: the process's environment.
        cwd: the working folder, for its ``.env``; None: none is read.

    Raises:
        ConfigError: a file cannot be used, with file, line and key.
    """
    layers = Layers.of_process(env, cwd)
    path = config_file(layers.env)
    document = load_document(path, HINT)
    if document is None:
        return Loaded(path, None, layers.env, layers.sources, asks_shell=_asks_shell(layers.env, None))
    document, included = include_all(document, include_roots(layers.env), WANTED)
    variables = document.root.section("env")
    asks_shell = _asks_shell(layers.env, variables)
    layers.add_settings(variables)
    document, missing = _substituted(document, layers.env)
    return Loaded(path, document, layers.env, layers.sources, included, missing, asks_shell)


class Layers:
    """An environment that files may add to: whoever comes first wins."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.sources: dict[str, str] = {}

    @classmethod
    def of_process(cls, env: Mapping[str, str], cwd: Path | None = None) -> "Layers":
        """The process's environment and the ``.env`` files that go with it; ``cwd`` as for ``read_openclaw``."""
        layers = cls(env)
        if cwd is not None:
            layers.add_dotenv(cwd / ".env", read_dotenv(cwd / ".env"), foreign=True)
        for path in dotenv_files(env):
            layers.add_dotenv(path, read_dotenv(path))
        return layers

    def add_dotenv(self, path: Path, values: Mapping[str, str], *, foreign: bool = False) -> None:
        """Add what a ``.env`` file sets and the environment has not.

        Args:
            foreign: the file may come with somebody else's project: no ``OPENCLAW_*`` is taken from it.
        """
        for name, value in values.items():
            if foreign and (name.upper().startswith("OPENCLAW_") or _DANGEROUS.fullmatch(name)):
                continue
            if name not in self.env:
                self.env[name], self.sources[name] = value, str(path)

    def add_settings(self, section: Section) -> None:
        """Add ``env.vars``, and texts beside it as releases before 2026.9 had them; values with ``${`` are left out.

        Raises:
            ConfigError: a value of ``env.vars`` is not a string.
        """
        variables = section.section("vars")
        texts = {name: variables.raw_text(name) for name in variables.values}
        texts |= {k: v for k, v in section.values.items() if isinstance(v, str) and k not in ("vars", "shellEnv")}
        for name, value in texts.items():
            usable = _NAME.fullmatch(name) and name not in _NOT_FROM_FILES and not _DANGEROUS.fullmatch(name)
            if usable and value.strip() and not self.env.get(name, "").strip() and not holds_reference(Secret(value)):
                place = (*section.keys, "vars", name) if name in variables.values else (*section.keys, name)
                self.env[name], self.sources[name] = value, section.document.place(place)


def _asks_shell(env: Mapping[str, str], section: Section | None) -> bool:
    if env.get("OPENCLAW_LOAD_SHELL_ENV", "").strip().lower() in _YES:
        return True
    return section is not None and bool(section.section("shellEnv").flag("enabled"))


def _substituted(document: Document, env: Mapping[str, str]) -> tuple[Document, Mapping[str, list[str]]]:
    substitution = Substitution(env)
    try:
        value = {k: v if k == "env" else substitution.apply(v, (k,)) for k, v in document.value.items()}
    except RecursionError:
        raise too_deep(document.path, HINT) from None
    except ConfigError as error:
        raise ConfigError(f"{document.path}: {error.message}", hint=error.hint) from None
    return Document(document.path, document.text, value, document.hint, document.origins), substitution.missing


def working_folder() -> Path | None:
    """Where this process works; None where the folder is gone."""
    try:
        return Path(os.getcwd())
    except OSError:
        return None
