"""Has a file changed?"""

import os
from pathlib import Path

from openclaw_tunnel.host.watch import fingerprint, fingerprints


def test_every_change_shows(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    seen = [fingerprint(str(path))]
    path.write_text("one")
    seen.append(fingerprint(str(path)))
    path.write_text("three")
    seen.append(fingerprint(str(path)))
    path.chmod(0o600)
    seen.append(fingerprint(str(path)))
    assert seen[0] is None
    assert len(set(seen)) == 4


def test_no_change_does_not_show(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("secret")
    assert fingerprint(str(path)) == fingerprint(str(path))


def test_the_same_content_written_again_is_no_change(tmp_path: Path) -> None:
    path, other = tmp_path / "known_hosts", tmp_path / "new"
    path.write_text("one")
    seen = fingerprints([str(path), str(tmp_path / "missing")])
    other.write_text("one")
    os.replace(other, path)
    assert fingerprints([str(path), str(tmp_path / "missing")]) == seen


def test_what_is_no_ordinary_file_is_not_read(tmp_path: Path) -> None:
    """A FIFO without a writer would never end, /dev/zero neither."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert fingerprint(str(pipe)) == fingerprint(str(pipe))
    assert fingerprint("/dev/zero") is not None
    assert fingerprint(str(tmp_path)) is not None
