"""Imports run down only, in no circle; what decides stays pure; what `status` needs stays light.

Read from the source with ``ast``, so that an import inside a function counts as well.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Mapping
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

# Still to be turned: what it needs of a command belongs further down.
TO_TURN = {
    "setup.computer imports cli.registry",
    "setup.remote imports cli.commands.trust",
}

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
    "setup.plan",
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

MOST_LINES = 350
LONGEST_FUNCTION = 50


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


def parse(name: str, source: str) -> Module:
    """Read a module's imports; relative ones are not written in this package and are refused."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                found |= {f"{origin}.{alias.name}" for alias in names}
            case ast.ImportFrom():
                raise AssertionError(f"{name}: line {node.lineno}: write the import in full")
    return Module(name, frozenset(found))


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


@pytest.fixture(scope="module")
def package() -> dict[str, Module]:
    """The package as it is."""
    return {dotted(path): parse(dotted(path), path.read_text()) for path in sources()}


def example(**sources_by_name: str) -> dict[str, Module]:
    """A made-up package; ``__`` in a name stands for a dot."""
    named = {name.replace("__", "."): text for name, text in sources_by_name.items()}
    return {name: parse(name, text) for name, text in named.items()}


def test_imports_run_down(package: dict[str, Module]) -> None:
    assert set(upward(package)) == TO_TURN


def test_there_is_no_circle(package: dict[str, Module]) -> None:
    assert circle(package) == []


def test_pure_modules_are_pure(package: dict[str, Module]) -> None:
    assert impure(package) == []


def test_asyncssh_stays_in_its_folder(package: dict[str, Module]) -> None:
    assert asyncssh_outside_ssh(package) == []


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
    imported = {name.removeprefix(ROOT + ".") for text in tests.values() for name in parse("test", text).imports}

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


def test_files_and_functions_are_short() -> None:
    long: list[str] = []
    for path in sources():
        text = path.read_text()
        if text.count("\n") > MOST_LINES:
            long.append(f"{dotted(path)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno
                if lines > LONGEST_FUNCTION:
                    long.append(f"{dotted(path)}.{node.name}: {lines} lines")
    assert long == []
