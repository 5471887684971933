"""Which keys are offered to a server, and in which order: OpenSSH's."""

from collections.abc import Sequence
from dataclasses import dataclass

from openclaw_tunnel.ssh.auth.keyfiles import KeyFile, KeyState, certified_key
from openclaw_tunnel.ssh.hostkeys.knownhosts import is_certificate, key_type


@dataclass(frozen=True, slots=True)
class Offer:
    """One key to try.

    Attributes:
        public: the plain public key in wire format.
        certificate: the certificate to present with it; empty for none.
        path: the key's file; empty for a key that only the agent has.
        from_agent: the agent signs, not the file.
    """

    public: bytes
    certificate: bytes = b""
    path: str = ""
    from_agent: bool = False


def order_offers(
    files: Sequence[KeyFile], certificates: Sequence[KeyFile], agent: Sequence[bytes], *, identities_only: bool
) -> tuple[Offer, ...]:
    """All keys that can be tried, in the order of OpenSSH's ``pubkey_prepare``.

    Certificates of CertificateFile come first, then the agent's keys that an IdentityFile names, the agent's other
    keys (unless IdentitiesOnly), and at last the keys that only files hold. A certificate that lies beside its key
    (``FILE-cert.pub``) follows it, and only counts where there is no CertificateFile.

    Args:
        files: the identity files that exist.
        certificates: the certificate files that exist.
        agent: what the agent holds, keys and certificates, in wire format.
    """
    ready = {f.public: f.path for f in files if f.state is KeyState.READY}
    named: list[Offer] = []
    for file in files:
        named.append(Offer(file.public, path=file.path))
        if file.certificate and not certificates:
            named.append(Offer(file.public, file.certificate, file.path))
    first = [Offer(c.public, c.certificate, ready.get(c.public, c.path)) for c in certificates]
    listed, others = [], []
    for blob in agent:
        certificate = blob if is_certificate(key_type(blob)) else b""
        match = next((o for o in named if (o.certificate or o.public) == blob), None)
        if match:
            listed.append(match)
        elif not identities_only:
            others.append(Offer(plain_key(blob), certificate))
    rest = [o for o in named if o not in listed]
    ordered = dict.fromkeys([*first, *listed, *others, *rest])
    signers = ((o, o.public in agent or o.certificate in agent) for o in ordered)
    return tuple(
        Offer(o.public, o.certificate, o.path, from_agent)
        for o, from_agent in signers
        if from_agent or o.public in ready
    )


def plain_key(blob: bytes) -> bytes:
    """The public key, also where ``blob`` is a certificate."""
    return certified_key(blob) if is_certificate(key_type(blob)) else blob
