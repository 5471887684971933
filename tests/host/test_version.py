"""The version on the disk."""

from pathlib import Path

from openclaw_tunnel import __version__
from openclaw_tunnel.host.version import installed_version


def test_it_is_read_anew(tmp_path: Path) -> None:
    assert installed_version() == __version__
    package = tmp_path / "__init__.py"
    assert installed_version(package) is None
    package.write_text('"""x"""\n\n__version__ = "9.1.0"\n')
    assert installed_version(package) == "9.1.0"
    package.write_text('"""x"""\n')
    assert installed_version(package) is None
