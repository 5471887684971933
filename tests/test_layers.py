"""Imports run down only, in no circle; what decides stays pure; what `status` needs stays light.

Read from the source with ``ast``, so that an import inside a function counts as well, and one by name, of a table.
"""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import openclaw_tunnel
from support.cli import command, environment

PACKAGE = Path(openclaw_tunnel.__file__).parent
TESTS = Path(__file__).parent
ROOT = "openclaw_tunnel"

# From the bottom up. What stands on one line may not import its neighbours there, except within one folder.
LAYERS = (
    {"errors"},
    {"core"},
    {"ui", "host", "json5doc"},
    {"ssh_config"},
    {"openclaw"},
    {"settings"},
    {"control", "relay", "ssh", "gateway", "service", "linking"},
    {"supervisor"},
    {"ask"},
    {"daemon"},
    {"actions", "controlui"},
    {"setup", "doctor", "demo"},
    {"cli"},
    {"__main__"},
)

COMMANDS = "cli.commands."

# Decide and compute, and touch nothing: no clock, no chance, no file, no network.
PURE = (
    "controlui.page",
    "core.",
    "doctor.clock",
    "doctor.inputs",
    "doctor.render",
    "doctor.route",
    "gateway.answer",
    "gateway.frames",
    "gateway.handshake",
    "gateway.hello",
    "gateway.refusal",
    "gateway.url",
    "gateway.verdict",
    "host.net.facts",
    "host.net.routesocket",
    "host.net.rtnetlink",
    "host.ports.explain",
    "json5doc.edit",
    "linking.plan",
    "openclaw.credentials.precedence",
    "openclaw.remote_host",
    "relay.error_body",
    "relay.error_html",
    "relay.error_response",
    "relay.http_request",
    "service.installed",
    "service.launchctl",
    "service.render",
    "service.spec",
    "settings.auto_port",
    "settings.extra_ports",
    "settings.main_forward",
    "setup.patch",
    "setup.plan",
    "setup.plan_gateway",
    "setup.plan_local",
    "setup.steps",
    "ssh.auth.prompts",
    "ssh.enroll.authorized",
    "ssh_config.unsupported",
    "ui.loglines",
    "ui.timeline",
    "ui.tunnelrows",
)
IMPURE = {"asyncio", "socket", "os", "time", "random", "secrets", "subprocess", "threading", "select", "signal"}

# A `status` that imports one of these does not answer within 150 ms.
HEAVY = {"asyncio", "asyncssh", "cryptography", "json5", "tenacity", "websockets"}

LONGEST_FUNCTION = 50
MOST_FILES = 20
"""Files of one folder, without those of the folders in it."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the package: its name without the package's, and the absolute names that it imports."""

    name: str
    imports: frozenset[str]

    @property
    def area(self) -> str:
        """Its folder, or its own name at the top."""
        return self.name.partition(".")[0]

    def inner_imports(self, known: Iterable[str]) -> set[str]:
        """The modules of the package that it imports; ``from a import b`` is module a.b where there is one."""
        names = (name.removeprefix(ROOT + ".") for name in self.imports if name.startswith(ROOT + "."))
        return {found for name in names if (found := _longest(name, set(known))) and found != self.name}

    def outer_imports(self) -> set[str]:
        """The top-level names of other packages that it imports."""
        return {name.partition(".")[0] for name in self.imports if name.partition(".")[0] != ROOT}


def _longest(name: str, known: set[str]) -> str:
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def parse(name: str, source: str, *, of_tests: bool = False) -> Module:
    """Read a module's imports; relative ones are not written in this package and are refused.

    Args:
        of_tests: it is none of the package: what it imports by name is passed over.
    """
    found: set[str] = set()
    tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"), args=[named]) if (
                not of_tests
            ):
                found |= set(_by_name(named, tree))
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                found |= {f"{origin}.{alias.name}" for alias in names}
            case ast.ImportFrom():
                raise AssertionError(f"{name}: line {node.lineno}: write the import in full")
    return Module(name, frozenset(found))


def _by_name(named: ast.expr, tree: ast.Module) -> Iterator[str]:
    """What ``import_module`` may be asked for: a name, or one that begins so and goes on with a word of the module."""
    match named:
        case ast.Constant(value=str(name)):
            yield name
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            words = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
            yield from (start + word for word in words if isinstance(word, str) and word.isidentifier())
        case _:
            raise AssertionError(f"line {named.lineno}: nobody can read from the source what is imported")


def dotted(path: Path) -> str:
    """The module's name within the package; that of a folder for its ``__init__``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    """Every source file of the package except its own ``__init__``."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def level_of(area: str) -> int:
    """How far up an area stands."""
    for level, areas in enumerate(LAYERS):
        if area in areas:
            return level
    raise AssertionError(f"{area} has no place in LAYERS: give it one")


def upward(modules: Mapping[str, Module]) -> list[str]:
    """Imports that run up, or sideways into another folder."""
    return [
        f"{module.name} imports {name}"
        for module in modules.values()
        for name in sorted(module.inner_imports(modules))
        if module.area != name.partition(".")[0] and level_of(name.partition(".")[0]) >= level_of(module.area)
    ]


def circle(modules: Mapping[str, Module]) -> list[str]:
    """One circle of imports; empty where there is none."""
    try:
        TopologicalSorter({name: module.inner_imports(modules) for name, module in modules.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def is_pure(name: str) -> bool:
    """Whether a module only decides."""
    return any(name == pure or (pure.endswith(".") and name.startswith(pure)) for pure in PURE)


def impure(modules: Mapping[str, Module]) -> list[str]:
    """Pure modules that reach for the world."""
    return [
        f"{module.name} imports {name}"
        for module in modules.values()
        if is_pure(module.name)
        for name in sorted(module.outer_imports() & IMPURE)
    ]


def asyncssh_outside_ssh(modules: Mapping[str, Module]) -> list[str]:
    """Modules that import asyncssh and have no business with it."""
    return [
        name
        for name, module in modules.items()
        if "asyncssh" in module.outer_imports() and module.area not in ("ssh", "demo")
    ]


def between_commands(modules: Mapping[str, Module]) -> list[str]:
    """Commands that import another command."""
    commands = {name for name in modules if name.startswith(COMMANDS)}
    return [
        f"{name} imports {other}" for name in sorted(commands) for other in inner(modules, name) if other in commands
    ]


def click_below_cli(modules: Mapping[str, Module]) -> list[str]:
    """Modules that parse a command line and are no part of it."""
    return [
        name
        for name, module in modules.items()
        if "click" in module.outer_imports() and level_of(module.area) < level_of("cli")
    ]


def enrolling(modules: Mapping[str, Module]) -> list[str]:
    """Parts of dialling that import what ``setup`` does on the remote host."""
    return [
        f"{name} imports {other}"
        for name in modules
        if name.startswith("ssh.") and not name.startswith("ssh.enroll")
        for other in inner(modules, name)
        if other.startswith("ssh.enroll")
    ]


def tunnels_in_openclaw(modules: Mapping[str, Module]) -> list[str]:
    """Parts of openclaw.json's reader that know of tunnels."""
    return [
        f"{name} imports {other}"
        for name, module in modules.items()
        if module.area == "openclaw"
        for other in inner(modules, name)
        if other.partition(".")[0] in ("settings", "control", "daemon")
    ]


def inner(modules: Mapping[str, Module], name: str) -> list[str]:
    """The modules of the package that one imports."""
    return sorted(modules[name].inner_imports(modules))


def crowded(paths: Iterable[Path]) -> dict[str, int]:
    """Folders with more files than one finds one's way in, without ``__init__``."""
    files = Counter(str(path.parent) for path in paths if path.name != "__init__.py")
    return {folder: count for folder, count in files.items() if count > MOST_FILES}


@pytest.fixture(scope="module")
def package() -> dict[str, Module]:
    """The package as it is."""
    return {dotted(path): parse(dotted(path), path.read_text()) for path in sources()}


def example(**sources_by_name: str) -> dict[str, Module]:
    """A made-up package; ``__`` in a name stands for a dot."""
    named = {name.replace("__", "."): text for name, text in sources_by_name.items()}
    return {name: parse(name, text) for name, text in named.items()}


def test_imports_run_down(package: dict[str, Module]) -> None:
    assert upward(package) == []


def test_there_is_no_circle(package: dict[str, Module]) -> None:
    assert circle(package) == []


def test_pure_modules_are_pure(package: dict[str, Module]) -> None:
    assert impure(package) == []


def test_asyncssh_stays_in_its_folder(package: dict[str, Module]) -> None:
    assert asyncssh_outside_ssh(package) == []


def test_no_command_imports_another(package: dict[str, Module]) -> None:
    assert between_commands(package) == []


def test_only_the_command_line_imports_click(package: dict[str, Module]) -> None:
    assert click_below_cli(package) == []


def test_dialling_does_not_enroll(package: dict[str, Module]) -> None:
    assert enrolling(package) == []


def test_openclaw_knows_no_tunnel(package: dict[str, Module]) -> None:
    assert tunnels_in_openclaw(package) == []


def test_no_folder_is_crowded() -> None:
    assert crowded(path.relative_to(PACKAGE) for path in sources()) == {}


def test_upward_and_sideways_imports_are_found() -> None:
    modules = example(
        core__machine="from openclaw_tunnel.settings.model import Spec",
        settings__model="from openclaw_tunnel.core import machine",
        relay__pipe="def f():\n    from openclaw_tunnel import ssh",
        relay__listener="from openclaw_tunnel.relay.pipe import Pipe",
        ssh="",
    )
    assert upward(modules) == ["core.machine imports settings.model", "relay.pipe imports ssh"]


def test_circles_are_found() -> None:
    a = "from openclaw_tunnel.core.b import B"
    b = "import openclaw_tunnel.core.a"
    assert set(circle(example(core__a=a, core__b=b))) == {"core.a", "core.b"}
    assert circle(example(core__a=a, core__b="")) == []


def test_a_circle_through_a_table_of_names_is_found() -> None:
    modules = example(
        cli__registry='TABLE = {"up": "go_up"}\nmod = importlib.import_module(f"openclaw_tunnel.cli.commands.{name}")',
        cli__commands__go_up="from openclaw_tunnel.cli.registry import TABLE",
        cli__commands__down="from openclaw_tunnel.cli.registry import TABLE",
    )
    assert set(circle(modules)) == {"cli.registry", "cli.commands.go_up"}
    plain = example(core__a='import_module("openclaw_tunnel.core.b")', core__b="from openclaw_tunnel.core import a")
    assert set(circle(plain)) == {"core.a", "core.b"}
    with pytest.raises(AssertionError, match="line 1: nobody can read"):
        parse("core.a", "import_module(name)")


def test_imports_between_commands_are_found() -> None:
    up = "from openclaw_tunnel.cli.commands.down import down\nfrom openclaw_tunnel.cli import params"
    modules = example(cli__commands__up=up, cli__commands__down="", cli__params="")
    assert between_commands(modules) == ["cli.commands.up imports cli.commands.down"]


def test_click_below_the_command_line_is_found() -> None:
    assert click_below_cli(example(actions__a="import click.types", cli__main="import click")) == ["actions.a"]


def test_what_should_not_enroll_or_know_tunnels_is_found() -> None:
    modules = example(
        ssh__dial="from openclaw_tunnel.ssh.enroll.keypair import make",
        ssh__enroll__bootstrap="from openclaw_tunnel.ssh.enroll import keypair",
        ssh__enroll__keypair="",
        openclaw__paths="from openclaw_tunnel.settings import show",
        settings__show="",
    )
    assert enrolling(modules) == ["ssh.dial imports ssh.enroll.keypair"]
    assert tunnels_in_openclaw(modules) == ["openclaw.paths imports settings.show"]


def test_a_crowded_folder_is_found() -> None:
    files = [Path(f"core/{number}.py") for number in range(21)]
    assert crowded([*files, Path("core/flow/a.py")]) == {"core": 21}
    assert crowded([*files[1:], Path("core/__init__.py")]) == {}


def test_impurity_is_found() -> None:
    modules = example(core__a="import os.path", core__b="import os", gateway__verdict="from time import time")
    assert impure(modules) == ["core.a imports os", "core.b imports os", "gateway.verdict imports time"]


def test_asyncssh_is_found() -> None:
    modules = example(relay__pipe="def f():\n    import asyncssh.misc", ssh__link="import asyncssh")
    assert asyncssh_outside_ssh(modules) == ["relay.pipe"]


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"core\.a: line 1"):
        parse("core.a", "from . import b")


def test_status_imports_nothing_heavy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *map(str, command("status", "--json")[1:])],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert '"daemon": null' in done.stdout, done.stderr[-500:]
    assert f"{ROOT}.cli.main" in imported
    assert {name for name in imported if name.partition(".")[0] in HEAVY} == set()


def unnamed(modules: Iterable[Path], tests: Mapping[Path, str]) -> list[str]:
    """Modules with no test of their name, and that no test imports or mentions by their path.

    Args:
        modules: files of the package, relative to it.
        tests: the text of each test file, by its path relative to the folder of the tests.
    """
    read = (parse("test", text, of_tests=True) for text in tests.values())
    imported = {name.removeprefix(ROOT + ".") for module in read for name in module.imports}

    def is_named(module: Path) -> bool:
        name = ".".join(module.with_suffix("").parts)
        return (
            module.with_name(f"test_{module.name}") in tests
            or any(_longest(found, {name}) for found in imported)
            or any(str(module) in text for text in tests.values())
        )

    return [str(module) for module in modules if not is_named(module)]


def test_every_module_is_named_by_a_test() -> None:
    tests = {path.relative_to(TESTS): path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__)}
    modules = [path.relative_to(PACKAGE) for path in sources() if path.name not in ("__init__.py", "__main__.py")]
    assert unnamed(modules, tests) == []


def test_modules_without_a_test_are_found() -> None:
    tests = {
        Path("core/test_a.py"): "",
        Path("test_rest.py"): "# relay/d.py\nfrom openclaw_tunnel.core.b import B\nimport openclaw_tunnel.core.c",
    }
    names = ("core/a.py", "core/b.py", "core/c.py", "relay/d.py", "core/e.py", "ssh/a.py")
    assert unnamed(map(Path, names), tests) == ["core/e.py", "ssh/a.py"]


def test_functions_are_short() -> None:
    long: list[str] = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno
                if lines > LONGEST_FUNCTION:
                    long.append(f"{dotted(path)}.{node.name}: {lines} lines")
    assert long == []
