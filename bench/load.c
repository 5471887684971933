/* Clients of a tunnel and the service behind it, cheap enough not to be what is measured. Blocking sockets, threads.
 *
 *     load serve
 *         Listen on a free port of 127.0.0.1 and print it; then every 50 ms "TIME BYTES": what uploads have brought.
 *     load ask PORT SIZE EVERY_MS SECONDS CLIENTS LATE
 *         Send SIZE bytes, wait for their echo, and again, not more often than every EVERY_MS, on CLIENTS connections
 *         in turns, and once LATE seconds are over (0: never) on as many more. Prints "TIME SECONDS CLIENT" for each:
 *         when it was sent, how long the answer took, of each client's first with the connection. One that is out when
 *         the time is up, or at SIGTERM, counts as long as it was. Never are two out at once: sshd's side of the
 *         connection has Nagle's algorithm, which holds the second of two small answers back for a round trip.
 *     load down PORT BYTES SECONDS
 *     load up PORT BYTES SECONDS
 *         Read or send BYTES (0: for so many seconds); prints "TIME BYTES" every 50 ms and last. An upload of BYTES
 *         ends when the service has them all.
 *     load connect PORT COUNT
 *         Connect, one byte there and back, close, and again; prints the seconds of each.
 *     load many PORT down|up CLIENTS BYTES
 *         So many transfers of BYTES each at once; prints the seconds of each.
 *
 * Times are those of CLOCK_MONOTONIC in seconds. Build: cc -O2 -pthread -o load load.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 256 * 1024, MOST_CLIENTS = 4096 };
static const double SAMPLE = 0.05;

/* What a client wants, first on each connection. ECHO has nothing more; of the others `bytes` 0 is without end. */
enum wish { ECHO = 'e', SOURCE = 's', SINK = 'k' };
struct order {
    uint8_t wish;
    uint64_t bytes;
} __attribute__((packed));

static _Atomic uint64_t uploaded;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void pause_until(double when) {
    struct timespec t = {(time_t)when, (long)((when - (time_t)when) * 1e9)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void sample(double at, uint64_t bytes) { printf("%.6f %llu\n", at, (unsigned long long)bytes); }

static void at_once(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static int send_all(int fd, const void *data, size_t size) {
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0) return 0;
        sent += n;
    }
    return 1;
}

static int receive_all(int fd, void *data, size_t size) {
    return recv(fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

/* The service */

static void echo(int fd, char *block) {
    for (ssize_t n; (n = recv(fd, block, BLOCK, 0)) > 0 && send_all(fd, block, n);) {
    }
}

static void source(int fd, char *block, uint64_t bytes) {
    for (uint64_t left = bytes ? bytes : UINT64_MAX; left;) {
        size_t n = left < BLOCK ? left : BLOCK;
        if (!send_all(fd, block, n)) return;
        left -= n;
    }
}

static void sink(int fd, char *block, uint64_t bytes) {
    for (uint64_t got = 0; !bytes || got < bytes;) {
        ssize_t n = recv(fd, block, BLOCK, 0);
        if (n <= 0) return;
        got += n;
        uploaded += n;
    }
    send_all(fd, "k", 1);
}

static void *attend(void *argument) {
    int fd = (int)(intptr_t)argument;
    struct order order;
    char *block = calloc(1, BLOCK);
    at_once(fd);
    if (block && receive_all(fd, &order, sizeof order)) {
        uint64_t bytes = be64toh(order.bytes);
        if (order.wish == ECHO) echo(fd, block);
        if (order.wish == SOURCE) source(fd, block, bytes);
        if (order.wish == SINK) sink(fd, block, bytes);
    }
    close(fd);
    free(block);
    return NULL;
}

static void *sample_uploads(void *unused) {
    (void)unused;
    for (double next = now();; pause_until(next += SAMPLE)) {
        sample(now(), uploaded);
        fflush(stdout);
    }
    return NULL;
}

static void start(void *(*task)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, task, argument)) die("pthread_create");
    pthread_detach(thread);
}

static int serve(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) die("listen");
    getsockname(listener, (void *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    start(sample_uploads, NULL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) start(attend, (void *)(intptr_t)fd);
    }
    return 1;
}

/* Clients */

static int reach(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (void *)&address, sizeof address)) die("connect");
    at_once(fd);
    return fd;
}

static int order(int port, enum wish wish, uint64_t bytes) {
    struct order order = {wish, htobe64(bytes)};
    int fd = reach(port);
    if (!send_all(fd, &order, sizeof order)) die("order");
    return fd;
}

static volatile sig_atomic_t ended;

static void end(int number) {
    (void)number;
    ended = 1;
}

/* Whether all `size` bytes came back before the time was up. */
static int answered(int fd, char *block, int size, double until) {
    for (int got = 0; got < size;) {
        struct pollfd waiting = {fd, POLLIN, 0};
        double left = until - now();
        if (left <= 0 || ended || poll(&waiting, 1, (int)(left * 1000) + 1) <= 0) return 0;
        ssize_t n = recv(fd, block, size - got, 0);
        if (n <= 0) die("the answer");
        got += n;
    }
    return 1;
}

static int ask(int port, int size, double every, double seconds, int clients, double late) {
    struct sigaction ending = {.sa_handler = end};
    int connections[2 * MOST_CLIENTS] = {0}, turn = 0;
    char *block = calloc(1, size);
    sigaction(SIGTERM, &ending, NULL);
    int all = clients;
    for (double began = now(), sent = began; sent < began + seconds && !ended; sent = now()) {
        if (late > 0 && all == clients && sent >= began + late) {
            all = 2 * clients;
            turn = clients; /* who comes late asks next */
        }
        int n = turn++ % all;
        if (!connections[n]) connections[n] = order(port, ECHO, 0);
        if (!send_all(connections[n], block, size)) die("ask");
        answered(connections[n], block, size, began + seconds);
        printf("%.6f %.6f %d\n", sent, now() - sent, n);
        if (every > 0) pause_until(sent + every);
    }
    return 0;
}

/* One step of a transfer; a tunnel that stands still is no reason to miss the end of the time. */
static ssize_t step(int fd, enum wish wish, char *block, size_t most) {
    ssize_t n = wish == SINK ? send(fd, block, most, MSG_NOSIGNAL) : recv(fd, block, most, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n == 0) errno = ECONNRESET; /* the other side has ended it */
    if (n <= 0) die("the transfer");
    return n;
}

static int move(int port, enum wish wish, uint64_t bytes, double seconds) {
    char *block = calloc(1, BLOCK);
    int fd = order(port, wish, bytes);
    struct timeval longest = {0, SAMPLE * 1e6};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest);
    double began = now(), at = began, next = began;
    uint64_t moved = 0;
    while ((bytes ? moved < bytes : at < began + seconds)) {
        size_t most = bytes && bytes - moved < BLOCK ? bytes - moved : BLOCK;
        moved += step(fd, wish, block, most);
        at = now();
        if (at < next) continue;
        sample(at, moved);
        next = at + SAMPLE;
    }
    while (wish == SINK && bytes && step(fd, SOURCE, block, 1) == 0) {
    }
    sample(now(), moved);
    return 0;
}

static int connects(int port, int count) {
    for (int n = 0; n < count; n++) {
        struct order order = {ECHO, 0};
        char back, both[sizeof order + 1] = {0};
        double began = now();
        int fd = reach(port);
        memcpy(both, &order, sizeof order);
        if (!send_all(fd, both, sizeof both) || !receive_all(fd, &back, 1)) die("a byte there and back");
        printf("%.6f\n", now() - began);
        close(fd);
    }
    return 0;
}

static pthread_barrier_t together;
struct one {
    int port;
    enum wish wish;
    uint64_t bytes;
    double took;
};

static void *transfer(void *argument) {
    struct one *one = argument;
    char *block = calloc(1, BLOCK);
    pthread_barrier_wait(&together);
    double began = now();
    int fd = order(one->port, one->wish, one->bytes);
    for (uint64_t left = one->bytes; left;) left -= step(fd, one->wish, block, left < BLOCK ? left : BLOCK);
    if (one->wish == SINK) step(fd, SOURCE, block, 1);
    one->took = now() - began;
    return NULL;
}

static int many(int port, enum wish wish, int clients, uint64_t bytes) {
    static struct one all[MOST_CLIENTS];
    static pthread_t threads[MOST_CLIENTS];
    pthread_barrier_init(&together, NULL, clients);
    for (int n = 0; n < clients; n++) {
        all[n] = (struct one){port, wish, bytes, 0};
        if (pthread_create(&threads[n], NULL, transfer, &all[n])) die("pthread_create");
    }
    for (int n = 0; n < clients; n++) {
        pthread_join(threads[n], NULL);
        printf("%.6f\n", all[n].took);
    }
    return 0;
}

static uint64_t bytes(const char *word) { return strtoull(word, NULL, 10); }

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1);
    if (!strcmp(what, "serve")) return serve();
    if (!strcmp(what, "ask") && argc == 8 && atoi(argv[6]) <= MOST_CLIENTS)
        return ask(atoi(argv[2]), atoi(argv[3]), atof(argv[4]) / 1000, atof(argv[5]), atoi(argv[6]), atof(argv[7]));
    if (!strcmp(what, "connect") && argc == 4) return connects(atoi(argv[2]), atoi(argv[3]));
    if (!strcmp(what, "down") && argc == 5) return move(atoi(argv[2]), SOURCE, bytes(argv[3]), atof(argv[4]));
    if (!strcmp(what, "up") && argc == 5) return move(atoi(argv[2]), SINK, bytes(argv[3]), atof(argv[4]));
    if (!strcmp(what, "many") && argc == 6 && atoi(argv[4]) <= MOST_CLIENTS)
        return many(atoi(argv[2]), strcmp(argv[3], "up") ? SOURCE : SINK, atoi(argv[4]), bytes(argv[5]));
    fprintf(stderr, "load: see the head of load.c\n");
    return 2;
}
