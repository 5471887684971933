"""Sleep for one process: a library that moves its clocks as a suspended computer's clocks move.

What runs on in sleep (CLOCK_BOOTTIME, CLOCK_REALTIME) gets ahead by the seconds that have been slept;
CLOCK_MONOTONIC, and with it every timer of the process, knows nothing of it. Linux only.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from support.process import make, missing, program

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long slept(void) {
    char text[32] = "";
    const char *path = getenv("CLOCKSHIM_SLEPT");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
    return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_BOOTTIME)) now->tv_sec += slept();
    return result;
}
"""


class SleepyClocks:
    """The clocks of every process that is started with :meth:`environment`; needs a C compiler.

    Args:
        folder: for the library and the seconds, of the test alone.
    """

    def __init__(self, folder: Path) -> None:
        if sys.platform != "linux":
            missing("a process's clocks are moved on Linux only")
        self._library = folder / "clockshim.so"
        self._slept = folder / "slept"
        self._seconds = 0
        self.sleep(0)
        source = folder / "clockshim.c"
        source.write_text(_SOURCE)
        make([program("cc"), "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"])

    def environment(self) -> Mapping[str, str]:
        """What to add to the environment of a process that shall sleep."""
        return {"LD_PRELOAD": str(self._library), "CLOCKSHIM_SLEPT": str(self._slept)}

    def sleep(self, seconds: int) -> None:
        """Let the processes sleep, and wake up at once."""
        self._seconds += seconds
        new = self._slept.with_suffix(".new")
        new.write_text(str(self._seconds))
        os.replace(new, self._slept)
