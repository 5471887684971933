"""Which processors compute AES by themselves, by what their systems say of them."""

import sys

import pytest

from openclaw_tunnel.ssh_config.processor import aes_of_linux, aes_of_mac, computes_aes

INTEL = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse4_2 {}popcnt avx\nbugs\t\t: spectre_v1\n"
ARM = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm {}crc32 cpuid\nCPU implementer\t: 0x41\n"
POWER = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\n"


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (INTEL.format("aes "), True),
        (INTEL.format(""), False),
        (INTEL.format("vaes "), False),
        (ARM.format("aes "), True),
        (ARM.format(""), False),  # a Raspberry Pi 4
        (POWER, None),
        ("", None),
        ("flags", None),
    ],
)
def test_linux(cpuinfo: str, expected: bool | None) -> None:
    assert aes_of_linux(cpuinfo) is expected


@pytest.mark.parametrize(
    ("feature", "features", "expected"),
    [
        (b"\1\0\0\0", None, True),
        (b"\0\0\0\0", None, False),
        (None, b"FPU VME SSE4.2 AES AVX1.0\0", True),
        (None, b"FPU SSE3 AES\0", True),
        (None, b"FPU VME SSE3\0", False),
        (None, None, None),
    ],
)
def test_mac(feature: bytes | None, features: bytes | None, expected: bool | None) -> None:
    assert aes_of_mac(feature, features) is expected


@pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc/cpuinfo")
def test_this_computer() -> None:
    with open("/proc/cpuinfo") as file:
        assert computes_aes() is (aes_of_linux(file.read()) is not False)
