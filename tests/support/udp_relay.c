/* udp_relay LISTEN_PORT TARGET_PORT DROP_PERCENT SEED COUNTS_FILE
 *
 * A lossy path on loopback: forwards datagrams that arrive on 127.0.0.1:LISTEN_PORT to
 * 127.0.0.1:TARGET_PORT and the answers back, dropping each with the given chance, both ways.  Each
 * peer gets a socket of its own, as behind a NAT.  Four times a second, and at the end (SIGTERM),
 * COUNTS_FILE holds "forwarded N dropped M". */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PEERS_MAX = 64, DATAGRAM_MAX = 65536, BURST_MAX = 256 };

struct peer {
    struct sockaddr_in address;
    int fd; /* connected to the target */
};

struct relay {
    int listen_fd;
    uint16_t target_port;
    double drop;
    uint64_t random;
    uint64_t forwarded, dropped;
    struct peer peers[PEERS_MAX];
    unsigned peers_count;
    const char *counts_path;
};

static volatile sig_atomic_t stopping;

static void on_term(int sig)
{
    (void)sig;
    stopping = 1;
}

static bool lost(struct relay *r)
{
    r->random ^= r->random << 13; /* xorshift64 */
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (double)(r->random >> 11) / 9007199254740992.0 < r->drop;
}

static int open_socket(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int bytes = 8 << 20;
    if (fd < 0) return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    return fd;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* The peer that sent from @from; made on first sight, NULL when the table is full. */
static struct peer *peer_of(struct relay *r, const struct sockaddr_in *from)
{
    for (unsigned i = 0; i < r->peers_count; i++) {
        struct peer *p = &r->peers[i];
        if (p->address.sin_port == from->sin_port &&
            p->address.sin_addr.s_addr == from->sin_addr.s_addr)
            return p;
    }
    if (r->peers_count == PEERS_MAX) return NULL;
    struct sockaddr_in target = loopback(r->target_port);
    int fd = open_socket();
    if (fd < 0 || connect(fd, (struct sockaddr *)&target, sizeof target) != 0) return NULL;
    struct peer *p = &r->peers[r->peers_count++];
    *p = (struct peer){ .address = *from, .fd = fd };
    return p;
}

static void write_counts(const struct relay *r)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s.new", r->counts_path);
    FILE *f = fopen(path, "w");
    if (f == NULL) return;
    (void)fprintf(f, "forwarded %llu dropped %llu\n", (unsigned long long)r->forwarded,
                  (unsigned long long)r->dropped);
    (void)fclose(f);
    (void)rename(path, r->counts_path);
}

static void count(struct relay *r, bool sent)
{
    if (sent)
        r->forwarded++;
    else
        r->dropped++;
}

static void to_target(struct relay *r)
{
    static uint8_t bytes[DATAGRAM_MAX];
    for (int i = 0; i < BURST_MAX; i++) {
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t n =
            recvfrom(r->listen_fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &from_len);
        if (n < 0) return;
        struct peer *p = peer_of(r, &from);
        bool keep = p != NULL && !lost(r);
        if (keep) (void)!send(p->fd, bytes, (size_t)n, 0);
        count(r, keep);
    }
}

static void to_peer(struct relay *r, struct peer *p)
{
    static uint8_t bytes[DATAGRAM_MAX];
    for (int i = 0; i < BURST_MAX; i++) {
        ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
        if (n < 0) return;
        bool keep = !lost(r);
        if (keep)
            (void)!sendto(r->listen_fd, bytes, (size_t)n, 0, (struct sockaddr *)&p->address,
                          sizeof p->address);
        count(r, keep);
    }
}

static void run(struct relay *r)
{
    while (!stopping) {
        struct pollfd fds[1 + PEERS_MAX] = { { .fd = r->listen_fd, .events = POLLIN } };
        unsigned peers = r->peers_count;
        for (unsigned i = 0; i < peers; i++)
            fds[1 + i] = (struct pollfd){ .fd = r->peers[i].fd, .events = POLLIN };
        int ready = poll(fds, 1 + peers, 250);
        if (ready < 0 && errno != EINTR) return;
        if (ready <= 0) {
            write_counts(r);
            continue;
        }
        if (fds[0].revents != 0) to_target(r);
        for (unsigned i = 0; i < peers; i++)
            if (fds[1 + i].revents != 0) to_peer(r, &r->peers[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        (void)fprintf(stderr,
                      "usage: udp_relay LISTEN_PORT TARGET_PORT DROP_PERCENT SEED COUNTS_FILE\n");
        return 2;
    }
    struct relay r = { .target_port = (uint16_t)atoi(argv[2]),
                       .drop = atof(argv[3]) / 100,
                       .random = strtoull(argv[4], NULL, 0) * 2 + 1,
                       .counts_path = argv[5] };
    (void)signal(SIGTERM, on_term);
    (void)signal(SIGINT, on_term);

    struct sockaddr_in local = loopback((uint16_t)atoi(argv[1]));
    r.listen_fd = open_socket();
    if (r.listen_fd < 0 || bind(r.listen_fd, (struct sockaddr *)&local, sizeof local) != 0) {
        perror("udp_relay: bind");
        return 1;
    }
    write_counts(&r);
    run(&r);
    write_counts(&r);
    return 0;
}
