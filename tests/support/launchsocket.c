/* launch_activate_socket(3) of macOS for other systems, as a library to preload.
 * FAKE_LAUNCH_SOCKETS="NAME=FD,NAME=FD" says what launchd handed over. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int launch_activate_socket(const char *name, int **fds, size_t *count)
{
    const char *entry = getenv("FAKE_LAUNCH_SOCKETS");
    size_t length = strlen(name);
    if (!entry)
        return ESRCH;
    for (; entry && *entry; entry = strchr(entry, ',') ? strchr(entry, ',') + 1 : NULL)
        if (!strncmp(entry, name, length) && entry[length] == '=') {
            *fds = malloc(sizeof(int));
            **fds = atoi(entry + length + 1);
            *count = 1;
            return 0;
        }
    return ENOENT;
}
