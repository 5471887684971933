/* A line between two network namespaces that can be changed while it runs.
 *
 *     line NS1 NS2 ADDRESS1 ADDRESS2 DELAY_MS [RATE_MBIT=0 [QUEUE_KB=256 [LOSS_PERCENT=0]]]
 *
 * Makes a TUN pair named line0, ADDRESS1 (with the prefix's length, as 10.0.0.1/24) in NS1 and ADDRESS2 in NS2.
 * Each way has a one-way delay, a bottleneck of a rate (0: none) with a drop-tail queue in front of it, and random loss:
 * what tc netem does where the kernel has it. Prints "ready". A line of text on stdin, "DELAY_MS RATE_MBIT QUEUE_KB
 * LOSS_PERCENT", changes all four from then on, for what waits in the queue as well; packets never overtake each other.
 * It ends with its parent or on SIGTERM, and the interfaces with it. Needs root, and ip.
 *
 * Without a rate it carries a few Gbit/s. Build: cc -O2 -o line line.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 65536, LARGEST = 2048, AT_ONCE = 64 };

/* leaves: when the bottleneck has sent it; due: when it arrives. */
struct packet {
    uint64_t leaves, due;
    uint32_t size;
    unsigned char data[LARGEST];
};

/* One direction; free_at: when the bottleneck has sent all there is. */
struct way {
    int from, to;
    struct packet *ring;
    unsigned head, tail;
    uint64_t free_at;
};

struct setting {
    uint64_t delay, queue_bytes;
    double bits_per_ns, loss;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static struct setting setting(double delay_ms, double rate_mbit, double queue_kb, double loss_percent) {
    struct setting s = {delay_ms * 1e6, queue_kb * 1024, rate_mbit / 1000, loss_percent / 100};
    return s;
}

static int tun(const char *namespace, const char *address) {
    char path[256], command[512];
    snprintf(path, sizeof path, "/run/netns/%s", namespace);
    int home = open("/proc/self/ns/net", O_RDONLY), there = open(path, O_RDONLY);
    if (there < 0 || setns(there, CLONE_NEWNET)) die(path);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    strcpy(request.ifr_name, "line0");
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request)) die("/dev/net/tun");
    if (setns(home, CLONE_NEWNET)) die("setns");
    close(home);
    close(there);
    snprintf(command, sizeof command, "ip -n %s addr add %s dev line0 && ip -n %s link set line0 txqueuelen 10000 up",
             namespace, address, namespace);
    if (system(command)) exit(1);
    return fd;
}

/* When a packet that reaches the bottleneck now has left it. */
static uint64_t passes(struct way *w, uint64_t now, uint32_t size, const struct setting *s) {
    if (s->bits_per_ns <= 0) return now;
    uint64_t begins = w->free_at > now ? w->free_at : now;
    return w->free_at = begins + (uint64_t)(size * 8 / s->bits_per_ns);
}

static void take(struct way *w, const struct setting *s) {
    if (w->head == w->tail) w->head = w->tail = 0; /* stay in the cache */
    for (int n = 0; n < AT_ONCE && w->tail - w->head < SLOTS; n++) {
        struct packet *p = &w->ring[w->tail % SLOTS];
        ssize_t got = read(w->from, p->data, LARGEST);
        if (got <= 0) return;
        if (s->loss > 0 && drand48() < s->loss) continue;
        uint64_t now = now_ns();
        double queued = w->free_at > now ? (w->free_at - now) * s->bits_per_ns / 8 : 0;
        if (queued > s->queue_bytes) continue; /* full: the tail is dropped */
        p->size = got;
        p->leaves = passes(w, now, got, s);
        p->due = p->leaves + s->delay;
        w->tail++;
    }
}

static void give(struct way *w) {
    for (uint64_t now = now_ns(); w->head != w->tail && w->ring[w->head % SLOTS].due <= now; w->head++) {
        struct packet *p = &w->ring[w->head % SLOTS];
        if (write(w->to, p->data, p->size) < 0) { /* the interface is down: lost */
        }
    }
}

/* What is still in the queue leaves by the new rate; what has left it keeps its time. */
static void change(struct way *w, const struct setting *s) {
    uint64_t now = now_ns();
    w->free_at = now;
    for (unsigned n = w->head; n != w->tail; n++) {
        struct packet *p = &w->ring[n % SLOTS];
        if (p->leaves <= now) continue;
        p->leaves = passes(w, now, p->size, s);
        p->due = p->leaves + s->delay;
    }
}

static int changed(struct setting *s) {
    char line[256];
    double delay, rate, queue, loss;
    ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
    if (got <= 0) return -1;
    line[got] = 0;
    if (sscanf(line, "%lf %lf %lf %lf", &delay, &rate, &queue, &loss) != 4) return 0;
    *s = setting(delay, rate, queue, loss);
    return 1;
}

static uint64_t next_due(const struct way *w) {
    return w->head == w->tail ? UINT64_MAX : w->ring[w->head % SLOTS].due;
}

static void set_timer(int timer, uint64_t at) {
    struct itimerspec t = {0};
    if (at != UINT64_MAX) {
        t.it_value.tv_sec = at / 1000000000ull;
        t.it_value.tv_nsec = at % 1000000000ull;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &t, NULL);
}

static void carry(struct way *ways, struct setting *s) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct pollfd waiting[4] = {
        {ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}, {timer, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    for (;;) {
        uint64_t gone, first = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            give(&ways[i]);
            if (next_due(&ways[i]) < first) first = next_due(&ways[i]);
        }
        set_timer(timer, first);
        poll(waiting, 4, -1);
        if (waiting[2].revents && read(timer, &gone, sizeof gone) < 0) { /* it was set again meanwhile */
        }
        if (waiting[3].revents) {
            int outcome = changed(s);
            if (outcome < 0) waiting[3].fd = -1; /* nobody changes it any more */
            for (int i = 0; outcome > 0 && i < 2; i++) change(&ways[i], s);
        }
        for (int i = 0; i < 2; i++) take(&ways[i], s);
    }
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: line NS1 NS2 ADDRESS1 ADDRESS2 DELAY_MS [RATE_MBIT [QUEUE_KB [LOSS_PERCENT]]]\n");
        return 2;
    }
    struct setting s = setting(atof(argv[5]), argc > 6 ? atof(argv[6]) : 0, argc > 7 ? atof(argv[7]) : 256,
                               argc > 8 ? atof(argv[8]) : 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    srand48(getpid());
    struct way ways[2] = {0};
    ways[0].from = ways[1].to = tun(argv[1], argv[3]);
    ways[1].from = ways[0].to = tun(argv[2], argv[4]);
    for (int i = 0; i < 2; i++)
        if (!(ways[i].ring = malloc(sizeof(struct packet) * (size_t)SLOTS))) die("malloc");
    puts("ready");
    fflush(stdout);
    carry(ways, &s);
}
