"""authorized_keys on another computer: the script that adds a line there, and what its answer means. Pure.

The rules are ssh-copy-id's (OpenSSH contrib): umask 077, a missing final newline is added, what is there stays as it
is; root of OpenWrt has its keys in dropbear's folder.
"""

import shlex
from dataclasses import dataclass

FILE = ".ssh/authorized_keys"

_SCRIPT = r"""
umask 077
say() { printf '%s\n' "$*"; }
file=.ssh/authorized_keys
[ -f /etc/openwrt_release ] && [ "$(id -u)" = 0 ] && file=/etc/dropbear/authorized_keys
folder=${file%/*}
kind=@KIND@
blob=@BLOB@
line=@LINE@
known() {
  grep -v '^[[:space:]]*#' "$file" 2>/dev/null |
    grep -q "^\(.*[[:space:]]\)\{0,1\}${kind}[[:space:]][[:space:]]*${blob}\([[:space:]].*\)\{0,1\}\$"
}
cd || exit 1
if known; then
  say there
else
  [ -d "$folder" ] || mkdir -p "$folder" || exit 1
  gap=
  if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
    gap='
'
  fi
  printf '%s%s\n' "$gap" "$line" >>"$file"
  known && say added
  if command -v restorecon >/dev/null 2>&1; then restorecon -F "$folder" "$file" >/dev/null 2>&1; fi
fi
say file "$file"
say uid "$(id -u)"
for place in . "$folder" "$file"; do say mode "$place" "$(ls -ldnL "$place" 2>/dev/null)"; done
grep -hiE '^[[:space:]]*(AuthorizedKeysFile|PubkeyAuthentication|AuthenticationMethods)[[:space:]=]' \
  /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config 2>/dev/null |
  head -n 20 | while IFS= read -r setting; do say sshd "$setting"; done
"""

_STATEMENTS = ("there", "added", "file", "uid", "mode", "sshd")


@dataclass(frozen=True, slots=True)
class Mode:
    """What ``ls -ldn`` says of one path; ``path`` is relative to the home folder, which is ``.``."""

    path: str
    bits: str
    uid: str

    @property
    def shown(self) -> str:
        """As one writes it over there."""
        return "~" if self.path == "." else self.path if self.path.startswith("/") else f"~/{self.path}"

    @property
    def others_write(self) -> bool:
        """The group or everybody may write."""
        return "w" in (self.bits[5:6], self.bits[8:9])


@dataclass(frozen=True, slots=True)
class Answer:
    """What the script said.

    Attributes:
        added: the key is there now, and was not before.
        file: as one writes it over there: ``~/.ssh/authorized_keys``.
        uid: of the account, a number; for the case that the key is refused all the same, as the next two.
        modes: of the home folder, the keys' folder and the file.
        settings: lines of sshd's configuration that have to do with keys, where it may be read.
        there: the key was there before.
        complaint: words of the tools that failed.
    """

    added: bool
    file: str
    uid: str = ""
    modes: tuple[Mode, ...] = ()
    settings: tuple[str, ...] = ()
    there: bool = False
    complaint: str = ""


def script_to_add(line: str) -> str:
    """The script that adds one public key line unless its key is there, options before it or not."""
    kind, blob = line.split()[:2]
    filled = {"@KIND@": kind, "@BLOB@": blob, "@LINE@": line}
    script = _SCRIPT
    for name, text in filled.items():
        script = script.replace(name, shlex.quote(text), 1)
    return script


def read_answer(output: bytes) -> Answer:
    """The answer of the script."""
    said: dict[str, list[str]] = {}
    complaints: list[str] = []
    for text in output.decode("utf-8", "replace").splitlines():
        word, _, rest = text.partition(" ")
        if word in _STATEMENTS:
            said.setdefault(word, []).append(rest)
        elif text.strip():
            complaints.append(text.strip())
    modes = tuple(mode for text in said.get("mode", ()) if (mode := _mode(text)))
    settings = tuple(" ".join(text.replace("=", " ", 1).split()) for text in said.get("sshd", ()))
    file = Mode(_one(said, "file") or FILE, "", "").shown
    return Answer("added" in said, file, _one(said, "uid"), modes, settings, "there" in said, "; ".join(complaints))


def likely_cause(answer: Answer) -> tuple[str, str]:
    """Why sshd refuses a key that stands in authorized_keys, and what to do there; empty texts where nothing is odd."""
    for mode in answer.modes:
        if mode.others_write:
            return f"others may write to {mode.shown} there ({mode.bits})", f"chmod go-w {mode.shown}"
        if mode.uid not in (answer.uid, "0"):
            return (
                f"{mode.shown} there belongs to user {mode.uid}, not {answer.uid}",
                f"chown {answer.uid} {mode.shown}",
            )
    settings: dict[str, str] = {}
    for keyword, _, value in (text.partition(" ") for text in answer.settings):
        settings.setdefault(keyword.lower(), value)
    if settings.get("pubkeyauthentication", "").lower() == "no":
        return "its sshd_config has PubkeyAuthentication no", "set PubkeyAuthentication yes in sshd_config"
    files = settings.get("authorizedkeysfile", "").strip('"').split()
    if files and not any(file.removeprefix("%h/") == FILE for file in files):
        return f"its sshd looks for keys in {' '.join(files)}", f"put the line of the key into {files[0]}"
    if any("," in method for method in settings.get("authenticationmethods", "").split()):
        value = settings["authenticationmethods"]
        return f"its sshd wants more than a key (AuthenticationMethods {value})", "let a key alone do for this user"
    return "", ""


def _mode(text: str) -> Mode | None:
    path, _, listing = text.partition(" ")
    fields = listing.split()
    return Mode(path, fields[0], fields[2]) if len(fields) > 2 else None


def _one(said: dict[str, list[str]], word: str) -> str:
    return next(iter(said.get(word, ())), "")
