"""Whether this computer's processor has AES instructions: without them, ChaCha20 is the faster cipher."""

import sys
from functools import cache

_FIRST = 8192
"""Bytes of /proc/cpuinfo that hold the first processor; there may be hundreds."""

_FLAGS = ("flags", "Features")  # on x86, and on ARM


def aes_of_linux(cpuinfo: str) -> bool | None:
    """What /proc/cpuinfo says of the first processor; None where it has no list of what that can do."""
    for line in cpuinfo.splitlines():
        name, colon, words = line.partition(":")
        if colon and name.strip() in _FLAGS:
            return "aes" in words.split()
    return None


def aes_of_mac(feature: bytes | None, features: bytes | None) -> bool | None:
    """What sysctl(3) says.

    Args:
        feature: ``hw.optional.arm.FEAT_AES``, an integer; None where there is none, as on Intel.
        features: ``machdep.cpu.features``, words; None where there are none, as on ARM.
    """
    if feature is not None:
        return any(feature)
    return None if features is None else b"AES" in features.rstrip(b"\0").split()


@cache
def computes_aes() -> bool:
    """Whether this one does; where the system does not say, it is taken to, as nearly all do."""
    try:
        known = aes_of_mac(*map(_sysctl, _MAC_NAMES)) if sys.platform == "darwin" else aes_of_linux(_cpuinfo())
    except OSError:
        return True
    return known is not False


_MAC_NAMES = (b"hw.optional.arm.FEAT_AES", b"machdep.cpu.features")


def _cpuinfo() -> str:
    with open("/proc/cpuinfo", "rb", buffering=0) as file:
        return file.read(_FIRST).decode("ascii", "replace")


def _sysctl(name: bytes) -> bytes | None:
    import ctypes  # on a Mac only

    call = ctypes.CDLL(None).sysctlbyname
    value = ctypes.create_string_buffer(4096)
    size = ctypes.c_size_t(len(value))
    if call(name, value, ctypes.byref(size), None, ctypes.c_size_t(0)):
        return None
    return value.raw[: size.value]
