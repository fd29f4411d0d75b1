/* How fast a stream moves: bench_transfer [--size MiB] [--drop PERCENT] [--rate Mbit/s] [--runs N]
 * [--json]
 *
 * Both ends in one process over loopback UDP, from memory to memory, with a task between them that
 * drops datagrams both ways when asked to.  What crosses over RPC otherwise (manifest,
 * offers) crosses over a TCP connection.
 *
 * Over a real or emulated network, one end each:
 *     bench_transfer --listen 10.77.0.2:7000 [--runs N]
 *     bench_transfer --connect 10.77.0.2:7000 [--size MiB] [--runs N] [--json] */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/transfer.h"
#include "runtime/runtime.h"

#define SECOND_NS UINT64_C(1000000000)

struct setup {
    uint64_t size_bytes;
    double drop;
    uint64_t rate_bps;
    unsigned runs;
    bool json;
    const char *listen, *connect;
    struct urd_address control; /* where the receiver listens */
    urd_err err;
};

/* ---- frames over TCP ---- */

static urd_err frame_send(struct urd_cx *cx, struct urd_tcp *tcp, const void *bytes, uint32_t len)
{
    uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                        (uint8_t)len };
    urd_err err = urd_tcp_write(cx, tcp, head, 4, URD_FOREVER);
    return err == URD_OK ? urd_tcp_write(cx, tcp, bytes, len, URD_FOREVER) : err;
}

static urd_err read_all(struct urd_cx *cx, struct urd_tcp *tcp, uint8_t *ret, size_t len)
{
    while (len > 0) {
        size_t got = 0;
        urd_err err = urd_tcp_read(cx, tcp, ret, len, URD_FOREVER, &got);
        if (err != URD_OK) return err;
        if (got == 0) return URD_E_CLOSED;
        ret += got;
        len -= got;
    }
    return URD_OK;
}

/* *@ret for free(). */
static urd_err frame_receive(struct urd_cx *cx, struct urd_tcp *tcp, uint8_t **ret,
                             uint32_t *ret_len)
{
    uint8_t head[4];
    urd_err err = read_all(cx, tcp, head, 4);
    if (err != URD_OK) return err;
    uint32_t len =
        (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    uint8_t *bytes = len <= URD_FOUNTAIN_MANIFEST_BYTES_MAX ? malloc(len + 1u) : NULL;
    if (bytes == NULL) return URD_E_NOMEM;
    err = read_all(cx, tcp, bytes, len);
    if (err != URD_OK) {
        free(bytes);
        return err;
    }
    *ret = bytes;
    *ret_len = len;
    return URD_OK;
}

/* ---- source and sink in memory ---- */

static urd_err pattern_read(void *impl, struct urd_cx *cx, uint64_t offset, uint8_t *ret,
                            size_t len)
{
    (void)cx;
    memcpy(ret, (const uint8_t *)impl + offset, len);
    return URD_OK;
}

static urd_err memory_write(void *impl, struct urd_cx *cx, uint64_t offset, const uint8_t *bytes,
                            size_t len)
{
    (void)cx;
    memcpy((uint8_t *)impl + offset, bytes, len);
    return URD_OK;
}

static urd_err nothing_commit(void *impl, struct urd_cx *cx,
                              const struct urd_fountain_finished *blocks, uint32_t count)
{
    (void)impl;
    (void)cx;
    (void)blocks;
    (void)count;
    return URD_OK;
}

static urd_err nothing_finish(void *impl, struct urd_cx *cx, const uint8_t root[static 32])
{
    (void)impl;
    (void)cx;
    (void)root;
    return URD_OK;
}

static urd_err hub_task(struct urd_cx *cx, void *arg)
{
    return urd_fountain_hub_run(cx, arg);
}

/* ---- a lossy path in the process ---- */

struct relay {
    struct urd_udp *near, *far;
    struct urd_address sender, receiver;
    _Atomic bool sender_known;
    double drop;
};
struct relay_way {
    struct relay *relay;
    bool to_receiver;
};

static urd_err relay_run(struct urd_cx *cx, void *arg)
{
    struct relay_way *way = arg;
    struct relay *relay = way->relay;
    struct urd_udp *in = way->to_receiver ? relay->near : relay->far;
    struct urd_udp *out = way->to_receiver ? relay->far : relay->near;
    enum { N = URD_UDP_BATCH_MAX };
    uint8_t(*bytes)[2048] = malloc(N * sizeof *bytes);
    struct urd_datagram *d = malloc(N * sizeof *d);
    uint64_t random = way->to_receiver ? 1 : 2;
    urd_err err = bytes == NULL || d == NULL ? URD_E_NOMEM : URD_OK;
    while (err == URD_OK) {
        uint32_t n, m = 0;
        for (unsigned i = 0; i < N; i++)
            d[i] = (struct urd_datagram){ .bytes = bytes[i], .cap = sizeof bytes[i] };
        err = urd_udp_receive(cx, in, d, N, URD_FOREVER, &n);
        if (err != URD_OK) break;
        if (way->to_receiver && !atomic_load(&relay->sender_known)) {
            relay->sender = d[0].address;
            atomic_store(&relay->sender_known, true);
        }
        for (uint32_t i = 0; i < n; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((double)(random >> 11) < relay->drop * 9007199254740992.0) continue;
            d[m] = d[i];
            d[m++].address = way->to_receiver ? relay->receiver : relay->sender;
        }
        if (m > 0) err = urd_udp_send(cx, out, d, m);
    }
    free(bytes);
    free(d);
    return err;
}

/* ---- the two ends ---- */

/* Cross offers; the receiver's comes with the port of its hub. */
static urd_err offers_cross(struct urd_cx *cx, struct urd_tcp *tcp, bool sends,
                            struct urd_address *hub, struct urd_fountain_agreement *ret)
{
    struct urd_fountain_offer mine, theirs;
    uint8_t bytes[URD_FOUNTAIN_OFFER_LEN + sizeof *hub], *got;
    uint32_t len;
    urd_err err = urd_fountain_offer_make(cx, &mine);
    if (err != URD_OK) return err;
    urd_fountain_offer_encode(&mine, bytes);
    memcpy(bytes + URD_FOUNTAIN_OFFER_LEN, hub, sizeof *hub);
    err = frame_send(cx, tcp, bytes, sizeof bytes);
    if (err == URD_OK) err = frame_receive(cx, tcp, &got, &len);
    if (err != URD_OK) return err;
    err = len == sizeof bytes ? urd_fountain_offer_decode(got, URD_FOUNTAIN_OFFER_LEN, &theirs)
                              : URD_E_INVALID;
    if (err == URD_OK) {
        memcpy(hub, got + URD_FOUNTAIN_OFFER_LEN, sizeof *hub);
        urd_fountain_agree(sends ? &mine : &theirs, sends ? &theirs : &mine, ret);
    }
    free(got);
    return err;
}

static void print_result(const struct setup *s, const struct urd_fountain_stats *st, double seconds)
{
    double mbit = (double)s->size_bytes * 8e-6 / seconds;
    printf(s->json ? "{\"bytes\":%llu,\"drop\":%g,\"seconds\":%.4f,\"session_seconds\":%.4f,"
                     "\"goodput_bps\":%.0f,\"datagrams\":%"
                     "llu,"
                     "\"overhead\":%.4f,\"loss\":%.4f,\"rtt_ms\":%.2f,\"path_bps\":%llu}\n"
                   : "%llu bytes, drop %g: %.3f s (session %.3f), %.0f bit/s, %llu datagrams, "
                     "overhead %.3f, loss %.3f, "
                     "rtt %.2f ms, path %llu bit/s\n",
           (unsigned long long)s->size_bytes, s->drop, seconds, st->seconds, mbit * 1e6,
           (unsigned long long)st->datagrams, st->overhead, st->loss, (double)st->rtt_ns / 1e6,
           (unsigned long long)st->path_bps);
    fflush(stdout);
}

/* Hub and board around one call of @run. */
struct end {
    const struct setup *setup;
    struct urd_tcp *tcp;
    struct urd_fountain_hub *hub;
    struct urd_fountain_manifest manifest;
    struct urd_fountain_agreement agreement;
    struct urd_fountain_digests *board;
    struct urd_address peer;
    uint8_t *bytes;
    struct urd_fountain_stats stats;
    char errmsg[256];
};

static urd_err end_send(struct urd_cx *cx, struct end *e)
{
    struct urd_fountain_source source = { pattern_read, e->bytes };
    struct urd_fountain_send_options options = { .agreement = &e->agreement,
                                                 .manifest = &e->manifest,
                                                 .source = &source,
                                                 .digests = e->board,
                                                 .peer = e->peer,
                                                 .rate = { .max_bps = e->setup->rate_bps },
                                                 .idle_ns = 10 * SECOND_NS };
    return urd_fountain_send(cx, e->hub, &options, &e->stats, e->errmsg, sizeof e->errmsg);
}

static urd_err end_receive(struct urd_cx *cx, struct end *e)
{
    struct urd_fountain_sink sink = { memory_write, nothing_commit, nothing_finish, e->bytes };
    struct urd_fountain_receive_options options = {
        .agreement = &e->agreement, .manifest = &e->manifest, .sink = &sink, .digests = e->board
    };
    return urd_fountain_receive(cx, e->hub, &options, &e->stats, e->errmsg, sizeof e->errmsg);
}

static urd_err end_run(struct urd_cx *cx, struct end *e,
                       urd_err (*run)(struct urd_cx *, struct end *))
{
    urd_err err = urd_fountain_digests_new(e->manifest.layout.blocks, &e->board);
    if (err != URD_OK) return err;
    URD_REGION(r);
    if (urd_region_open(cx, NULL, r)) {
        err = urd_spawn(cx, urd_region_scope(r), NULL, hub_task, e->hub);
        if (err == URD_OK) err = run(cx, e);
        urd_region_close(cx, r, NULL);
    }
    urd_fountain_digests_free(e->board);
    return err;
}

static urd_err manifest_of(uint64_t size_bytes, struct urd_fountain_manifest *ret)
{
    struct urd_fountain_entry entry = { .kind = URD_FOUNTAIN_ENTRY_FILE,
                                        .path = (char[]){ "bench" },
                                        .mode = 0644,
                                        .size_bytes = size_bytes };
    urd_fountain_manifest_init(ret);
    urd_err err = urd_fountain_manifest_add(ret, &entry);
    return err == URD_OK ? urd_fountain_manifest_seal(ret, 0) : err;
}

static void address_with_port_of(const struct urd_address *host, const struct urd_address *port,
                                 struct urd_address *ret)
{
    *ret = *host;
    memcpy(ret->bytes + 2, port->bytes + 2, 2); /* sockaddr_in and _in6 have it there */
}

/* One transfer out of @e->bytes; the clock runs from the manifest to the last word. */
static urd_err send_once(struct urd_cx *cx, struct end *e)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct urd_address hub, remote;
    urd_err err = urd_yield(cx);
    uint64_t began = urd_cx_now(cx);
    if (err == URD_OK) err = manifest_of(e->setup->size_bytes, &e->manifest);
    if (err == URD_OK) err = urd_fountain_manifest_encode(&e->manifest, &bytes, &len);
    if (err == URD_OK) err = frame_send(cx, e->tcp, bytes, (uint32_t)len);
    free(bytes);
    urd_fountain_hub_local(e->hub, &hub);
    if (err == URD_OK) err = offers_cross(cx, e->tcp, true, &hub, &e->agreement);
    if (err != URD_OK) return err;
    urd_tcp_peer(e->tcp, &remote);
    address_with_port_of(&remote, &hub, &e->peer);

    struct relay relay = { .drop = e->setup->drop / 100, .receiver = e->peer };
    struct relay_way ways[2] = { { &relay, true }, { &relay, false } };
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    if (relay.drop > 0) {
        struct urd_address any;
        err = urd_address_parse("127.0.0.1:0", &any);
        if (err == URD_OK) err = urd_udp_open(cx, &any, 8u << 20, &relay.near);
        if (err == URD_OK) err = urd_udp_open(cx, &any, 8u << 20, &relay.far);
        for (unsigned i = 0; err == URD_OK && i < 2; i++)
            err = urd_spawn(cx, urd_region_scope(r), NULL, relay_run, &ways[i]);
        if (err == URD_OK) urd_udp_local(relay.near, &e->peer);
    }
    if (err == URD_OK) err = end_run(cx, e, end_send);
    urd_region_close(cx, r, NULL);
    urd_udp_close(relay.near);
    urd_udp_close(relay.far);
    if (err == URD_OK)
        print_result(e->setup, &e->stats, (double)(urd_cx_now(cx) - began) / 1e9);
    else
        fprintf(stderr, "send: %s (%s)\n", urd_err_text(err), e->errmsg);
    urd_fountain_manifest_done(&e->manifest);
    return err;
}

static urd_err receive_once(struct urd_cx *cx, struct end *e)
{
    uint8_t *bytes;
    uint32_t len;
    struct urd_address hub;
    urd_err err = frame_receive(cx, e->tcp, &bytes, &len);
    if (err != URD_OK) return err;
    err = urd_fountain_manifest_decode(bytes, len, &e->manifest);
    free(bytes);
    if (err != URD_OK) return err;
    urd_fountain_hub_local(e->hub, &hub);
    err = offers_cross(cx, e->tcp, false, &hub, &e->agreement);
    e->bytes = calloc(1, e->manifest.layout.total_bytes + 1);
    if (err == URD_OK && e->bytes == NULL) err = URD_E_NOMEM;
    if (err == URD_OK) err = end_run(cx, e, end_receive);
    if (err != URD_OK) fprintf(stderr, "receive: %s (%s)\n", urd_err_text(err), e->errmsg);
    free(e->bytes);
    urd_fountain_manifest_done(&e->manifest);
    return err;
}

static urd_err hub_open(struct urd_cx *cx, const struct urd_tcp *tcp, struct urd_fountain_hub **ret)
{
    struct urd_address local, peer;
    urd_tcp_peer(tcp, &peer);
    urd_err err =
        urd_address_parse(urd_address_is_loopback(&peer) ? "127.0.0.1:0" : "0.0.0.0:0", &local);
    return err == URD_OK ? urd_fountain_hub_open(cx, &local, ret) : err;
}

static urd_err sender_task(struct urd_cx *cx, void *arg)
{
    struct setup *s = arg;
    struct end e = { .setup = s };
    urd_err err = urd_tcp_connect(cx, &s->control, URD_FOREVER, &e.tcp);
    if (err != URD_OK) return err;
    err = hub_open(cx, e.tcp, &e.hub);
    uint8_t *bytes = malloc(s->size_bytes + 1);
    for (uint64_t i = 0; bytes != NULL && i < s->size_bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    for (unsigned i = 0; err == URD_OK && i < s->runs; i++) {
        e.bytes = bytes;
        err = send_once(cx, &e);
    }
    free(bytes);
    urd_fountain_hub_close(e.hub);
    urd_tcp_close(e.tcp);
    return err;
}

static urd_err receiver_task(struct urd_cx *cx, void *arg)
{
    struct urd_tcp_listener *listener = arg;
    static const struct setup none;
    struct end e = { .setup = &none };
    urd_err err = urd_tcp_accept(cx, listener, &e.tcp);
    if (err != URD_OK) return err;
    err = hub_open(cx, e.tcp, &e.hub);
    while (err == URD_OK)
        err = receive_once(cx, &e);
    urd_fountain_hub_close(e.hub);
    urd_tcp_close(e.tcp);
    return err == URD_E_CLOSED ? URD_OK : err;
}

static urd_err body(struct urd_cx *cx, void *arg)
{
    struct setup *s = arg;
    struct urd_tcp_listener *listener = NULL;
    if (s->connect != NULL) {
        s->err = urd_address_parse(s->connect, &s->control);
        if (s->err == URD_OK) s->err = sender_task(cx, s);
        return s->err;
    }
    urd_err err = urd_address_parse(s->listen ? s->listen : "127.0.0.1:0", &s->control);
    if (err == URD_OK) err = urd_tcp_listen(cx, &s->control, &listener);
    if (err != URD_OK) return s->err = err;
    urd_tcp_listener_local(listener, &s->control);
    if (s->listen != NULL) {
        s->err = receiver_task(cx, listener);
    } else {
        URD_REGION(r);
        if (urd_region_open(cx, NULL, r)) {
            s->err = urd_spawn(cx, urd_region_scope(r), NULL, receiver_task, listener);
            if (s->err == URD_OK) s->err = sender_task(cx, s);
            urd_region_close(cx, r, NULL);
        }
    }
    urd_tcp_listener_close(listener);
    return s->err;
}

int main(int argc, char **argv)
{
    struct setup s = { .size_bytes = 256u << 20, .runs = 3, .err = URD_E_NOMEM };
    bool plain = true;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--json") == 0) {
            s.json = true;
            continue;
        }
        plain = false;
        if (strcmp(argv[i], "--size") == 0)
            s.size_bytes = strtoull(value, NULL, 10) << 20;
        else if (strcmp(argv[i], "--drop") == 0)
            s.drop = strtod(value, NULL);
        else if (strcmp(argv[i], "--rate") == 0)
            s.rate_bps = strtoull(value, NULL, 10) * 1000000;
        else if (strcmp(argv[i], "--runs") == 0)
            s.runs = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--listen") == 0)
            s.listen = value;
        else if (strcmp(argv[i], "--connect") == 0)
            s.connect = value;
        else {
            fprintf(stderr,
                    "usage: bench_transfer [--size MiB] [--drop PERCENT] [--rate MBIT] [--runs N] "
                    "[--json] [--listen ADDR | --connect ADDR]\n");
            return 2;
        }
        i++;
    }
    if (urd_runtime_run(NULL, body, &s, NULL) != URD_OK || s.err != URD_OK) return 1;
    if (!plain) return 0;
    s.drop = 5; /* without arguments: also through loss */
    return urd_runtime_run(NULL, body, &s, NULL) != URD_OK || s.err != URD_OK;
}
