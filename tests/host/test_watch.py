"""Has a file changed?"""

import os
from pathlib import Path

from openclaw_tunnel.host.watch import fingerprint


def test_every_change_shows(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    seen = [fingerprint(str(path))]
    path.write_text("one")
    seen.append(fingerprint(str(path)))
    path.write_text("three")
    seen.append(fingerprint(str(path)))
    other = tmp_path / "new"
    other.write_text("three")
    os.replace(other, path)
    seen.append(fingerprint(str(path)))
    path.chmod(0o600)
    seen.append(fingerprint(str(path)))
    assert seen[0] is None
    assert len(set(seen)) == 5


def test_no_change_does_not_show(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    assert fingerprint(str(path)) == fingerprint(str(path))
