"""Strict host key checking: which keys of a host are known, and whether the one it presents is among them.

Never less strict than OpenSSH. An unknown key is refused whatever StrictHostKeyChecking says, missing or unreadable
files (``UserKnownHostsFile none`` included) mean that no key is known, and nothing is ever left unverified.
"""

import logging
import os
import shlex
from collections.abc import Sequence

import asyncssh

from openclaw_tunnel.core.failures import Code, Failure
from openclaw_tunnel.ssh.asyncssh_seams import OpenSSHCertificate
from openclaw_tunnel.ssh.hop import Hop
from openclaw_tunnel.ssh.hostkeys import knownhosts
from openclaw_tunnel.ssh.hostkeys.knownfiles import KnownKeys, files_of, read_known_keys
from openclaw_tunnel.ssh.hostkeys.knownhosts import Trust, Verdict, describe_key, fingerprint, key_type, short_type
from openclaw_tunnel.ssh.hostkeys.revoked import RevokedListUnusable
from openclaw_tunnel.ssh_config.query import SshTarget

log = logging.getLogger(__name__)
_HOST_CERTIFICATE = 2  # the type field of a certificate, PROTOCOL.certkeys


class HostKeys:
    """What is known of one host, and the judge of what it presents; it reads no file.

    Attributes:
        failure: why the last key was refused; None while none was.
    """

    def __init__(self, target: SshTarget, hop: Hop, known: KnownKeys) -> None:
        self.failure: Failure | None = None
        self._target = target
        self._hop = hop
        self._known = known
        self._accepted = b""

    @classmethod
    async def load(cls, target: SshTarget, hop: Hop) -> "HostKeys":
        """Read the files of a host beside the event loop: asyncssh waits for the judge in the middle of a packet."""
        return cls(target, hop, await read_known_keys(files_of(target)))

    def order(self, algorithms: Sequence[str]) -> tuple[str, ...]:
        """Host key algorithms, those of known keys first."""
        return knownhosts.order_algorithms(algorithms, self._known.found[0])

    def about(self, key: bytes) -> tuple[Verdict, Failure | None]:
        """What known_hosts says of a plain key in wire format; and why it is ruled out, None for one that is known."""
        verdict = knownhosts.judge(self._known.found, key)
        return verdict, self._on_revoked_list(key, key, b"") or self._explain(verdict, key)

    def check(self, presented: bytes) -> asyncssh.SSHKey:
        """The key to verify the server's signature with, if what it presents may be trusted.

        Args:
            presented: the host key or host certificate of the key exchange, in wire format.

        Raises:
            asyncssh.HostKeyNotVerifiable: it is no key, unknown, changed or revoked; ``failure`` says which.
        """
        try:
            certificate, key = _decode(presented)
        except Exception as exc:  # whatever asyncssh or cryptography trips over in it
            self.failure = self._hop.failure(Code.NOT_SSH, f"the host key that {self._hop.host} sent cannot be read")
            raise asyncssh.HostKeyNotVerifiable(self.failure.message) from exc
        if presented != self._accepted:
            self.failure = self._refusal(presented, certificate, key)
            if self.failure:
                raise asyncssh.HostKeyNotVerifiable(self.failure.message)
            self._accepted = presented
        return key

    def _refusal(
        self, presented: bytes, certificate: "asyncssh.SSHCertificate | None", key: asyncssh.SSHKey
    ) -> Failure | None:
        plain = key.public_data
        authority, flaw = (b"", "") if certificate is None else self._certificate_flaw(presented, certificate)
        if authority and flaw:
            log.info("host certificate of %s is not accepted: %s", self._hop.host, flaw)
        if refusal := self._too_short(plain) or self._on_revoked_list(presented, plain, authority):
            return refusal
        certified = bool(authority) and not flaw
        verdict = knownhosts.judge(self._known.found, plain, authority=authority, certified=certified)
        return self._explain(verdict, plain)

    def _too_short(self, plain: bytes) -> Failure | None:
        bits, required = knownhosts.rsa_bits(plain), self._target.required_rsa_size
        if not 0 < bits < required:
            return None
        text = f"host key of {self._hop.host} is too short: RSA with {bits} bits, RequiredRSASize is {required}"
        return self._hop.failure(Code.NEGOTIATION, text)

    def _certificate_flaw(self, presented: bytes, certificate: "asyncssh.SSHCertificate") -> tuple[bytes, str]:
        """The authority's key and what is wrong with the certificate, by OpenSSH's ``sshkey_cert_check_host``."""
        if not isinstance(certificate, OpenSSHCertificate):
            return b"", ""
        authority = certificate.signing_key.public_data
        host = self._target.host_key_alias or self._target.hostname.lower()
        allowed = self._target.ca_signature_algorithms
        try:
            signature = presented[presented.rindex(authority) + len(authority) + 4 :]
            certificate.validate(_HOST_CERTIFICATE, host)
        except ValueError as exc:
            return authority, str(exc)
        if allowed and key_type(signature) not in allowed:
            return authority, f"signed with {key_type(signature)}, which CASignatureAlgorithms does not list"
        return authority, ""

    def _on_revoked_list(self, presented: bytes, plain: bytes, authority: bytes) -> Failure | None:
        path, revoked = self._target.revoked_host_keys, self._known.revoked
        if revoked is None:
            return None
        also = tuple(blob for blob in (plain, authority) if blob and blob != presented)
        try:
            if not revoked.names(presented, also):
                return None
        except RevokedListUnusable as exc:
            text = f"host key of {self._hop.host} cannot be accepted: RevokedHostKeys {path}: {exc}"
            return self._hop.failure(Code.HOST_KEY_REVOKED, text, file=path, trust=self._hop.trust_command())
        return self._explain(Verdict(Trust.REVOKED), plain, listed_in=path)

    def _explain(self, verdict: Verdict, key: bytes, *, listed_in: str = "") -> Failure | None:
        """The failure that a verdict means; None for a key that is known."""
        host, shown = self._hop.host, describe_key(key)
        if verdict.trust is Trust.OK:
            return None
        if verdict.trust is Trust.REVOKED:
            where = listed_in or verdict.entries[0].place
            text = f"host key of {host} is revoked: {shown} ({where})"
            facts = {"file": where, "trust": self._hop.trust_command(replace=True)}
            return self._hop.failure(Code.HOST_KEY_REVOKED, text, **facts)
        if verdict.trust is Trust.CHANGED:
            old = ", ".join(f"{fingerprint(e.key)} ({e.place})" for e in verdict.entries)
            text = f"host key of {host} has changed: it presents {shown}, known is {short_type(key)} {old}"
            trust = self._hop.trust_command(replace=True)
            return self._hop.failure(Code.HOST_KEY_CHANGED, text, trust=trust)
        others = sorted({short_type(e.key) for e in verdict.entries})
        note = f" (known keys of this host are of another type: {', '.join(others)})" if others else ""
        note += "".join(f"; {path} cannot be read: {why}" for path, why in self._known.unread.items())
        facts = {"first": self._before_trusting(), "trust": self._hop.trust_command()}
        facts["ssh_config"] = self._hop.ssh_config
        return self._hop.failure(Code.HOST_KEY_UNKNOWN, f"host key of {host} is unknown: {shown}{note}", **facts)

    def _before_trusting(self) -> str:
        """What has to be done before a key can be remembered, for the hint; empty for nothing."""
        files = self._target.user_known_hosts_files
        if not files or files[0] == os.devnull:
            name = files[0] if files else "none"
            return f"let UserKnownHostsFile in ssh_config name a file ({name} remembers nothing), then "
        if self._known.unread:
            path = shlex.quote(next(iter(self._known.unread)))
            return f"let yourself read that file (ls -l {path} says whose it is); if the key is not in it, "
        return ""


def _decode(presented: bytes) -> "tuple[asyncssh.SSHCertificate | None, asyncssh.SSHKey]":
    """Split what a server presents; its own signature within a certificate is checked on the way.

    Raises:
        Exception: it is neither a key nor a certificate.
    """
    text = knownhosts.key_line(presented)
    if knownhosts.is_certificate(key_type(presented)):
        certificate = asyncssh.import_certificate(text)
        return certificate, certificate.key
    return None, asyncssh.import_public_key(text)
