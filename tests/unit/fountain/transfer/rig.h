/* Two hubs joined by a relay that loses, doubles and reorders datagrams both ways; a source and a
 * sink in memory; a task that carries digests as a node's RPC would. */
#ifndef TESTS_UNIT_FOUNTAIN_TRANSFER_RIG_H
#define TESTS_UNIT_FOUNTAIN_TRANSFER_RIG_H

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fountain/transfer/transfer.h"
#include "runtime/runtime.h"

struct relay {
    struct urd_udp *near, *far; /* the sender's side, the receiver's side */
    struct urd_address sender, receiver;
    _Atomic bool sender_known;
    double drop, dup, swap, damage;
    _Atomic uint64_t forwarded, dropped;
    _Atomic bool cut;   /* nothing goes through */
    uint64_t cut_after; /* cut after so many datagrams to the receiver; 0: never */
};

struct memory_sink {
    uint8_t *bytes;
    size_t len;
    struct urd_fountain_finished *finished;
    uint32_t finished_count, finished_cap;
    _Atomic uint32_t writes;
    uint32_t fail_at; /* this write (from 1) fails with fail_err */
    urd_err fail_err;
    bool placed;
    uint8_t root[32];
};

struct memory_source {
    uint8_t *bytes;
    size_t len;
    uint64_t changed_from; /* reads that reach this offset answer CHANGED; 0: never */
    _Atomic uint64_t read_bytes;
};

struct rig {
    struct urd_fountain_hub *near, *far;
    struct relay relay;
    struct urd_fountain_manifest manifest;
    struct memory_source source;
    struct memory_sink sink;
    struct urd_fountain_source source_table;
    struct urd_fountain_sink sink_table;
    struct urd_fountain_digests *sent_digests, *received_digests;
    struct urd_fountain_offer offers[2];
    struct urd_fountain_agreement agreement;
    struct urd_fountain_send_options send;
    struct urd_fountain_receive_options receive;
    struct urd_fountain_stats sent, received;
    urd_err send_err, receive_err;
    char send_msg[256], receive_msg[256];
    bool receiver_finds_sender; /* the receiver knows the address, the sender does not */
    bool carry_digests;         /* over RPC too */
    bool wrong_digests;         /* they are damaged on their way */
};

static inline uint64_t rig_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = *state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline bool rig_chance(uint64_t *state, double p)
{
    return (double)(rig_random(state) >> 11) < p * 9007199254740992.0;
}

struct relay_arg {
    struct relay *relay;
    bool to_receiver;
};

/* Decide what becomes of @in[0..n): at most 2n datagrams in @out. */
static inline uint32_t relay_shuffle(struct relay *relay, uint64_t *seed, bool to_receiver,
                                     struct urd_datagram *in, uint32_t n, struct urd_datagram *out)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t forwarded = atomic_fetch_add(&relay->forwarded, 1);
        if (to_receiver && relay->cut_after > 0 && forwarded >= relay->cut_after)
            atomic_store(&relay->cut, true);
        if (atomic_load(&relay->cut) || rig_chance(seed, relay->drop)) {
            atomic_fetch_add(&relay->dropped, 1);
            continue;
        }
        in[i].address = to_receiver ? relay->receiver : relay->sender;
        if (rig_chance(seed, relay->damage))
            in[i].bytes[rig_random(seed) % in[i].len] ^= (uint8_t)(1 + rig_random(seed) % 255);
        out[m++] = in[i];
        if (rig_chance(seed, relay->dup)) out[m++] = in[i];
    }
    for (uint32_t i = 0; i + 1 < m; i++)
        if (rig_chance(seed, relay->swap)) {
            uint32_t j = i + 1 + (uint32_t)(rig_random(seed) % (m - i - 1));
            struct urd_datagram d = out[i];
            out[i] = out[j];
            out[j] = d;
        }
    return m;
}

static inline urd_err relay_run(struct urd_cx *cx, void *arg)
{
    struct relay_arg *a = arg;
    struct relay *relay = a->relay;
    struct urd_udp *in = a->to_receiver ? relay->near : relay->far;
    struct urd_udp *out = a->to_receiver ? relay->far : relay->near;
    enum { N = 32 };
    uint8_t(*bytes)[2048] = malloc(N * sizeof *bytes);
    struct urd_datagram got[N], go[2 * N];
    uint64_t seed = a->to_receiver ? 1 : 2;
    urd_err err = URD_OK;
    while (err == URD_OK) {
        uint32_t n;
        for (unsigned i = 0; i < N; i++)
            got[i] = (struct urd_datagram){ .bytes = bytes[i], .cap = 2048 };
        err = urd_udp_receive(cx, in, got, N, URD_FOREVER, &n);
        if (err != URD_OK) break;
        if (a->to_receiver && !atomic_load(&relay->sender_known)) {
            relay->sender = got[0].address;
            atomic_store(&relay->sender_known, true);
        }
        if (!a->to_receiver && !atomic_load(&relay->sender_known)) continue;
        uint32_t m = relay_shuffle(relay, &seed, a->to_receiver, got, n, go);
        if (m > 0) err = urd_udp_send(cx, out, go, m);
    }
    free(bytes);
    return err;
}

static inline urd_err memory_read(void *impl, struct urd_cx *cx, uint64_t offset, uint8_t *ret,
                                  size_t len)
{
    struct memory_source *source = impl;
    (void)cx;
    assert(offset + len <= source->len);
    if (source->changed_from > 0 && offset + len > source->changed_from) return URD_E_CHANGED;
    memcpy(ret, source->bytes + offset, len);
    atomic_fetch_add(&source->read_bytes, len);
    return URD_OK;
}

static inline urd_err memory_write(void *impl, struct urd_cx *cx, uint64_t offset,
                                   const uint8_t *bytes, size_t len)
{
    struct memory_sink *sink = impl;
    (void)cx;
    assert(offset + len <= sink->len);
    if (atomic_fetch_add(&sink->writes, 1) + 1 == sink->fail_at) return sink->fail_err;
    memcpy(sink->bytes + offset, bytes, len);
    return URD_OK;
}

static inline urd_err memory_commit(void *impl, struct urd_cx *cx,
                                    const struct urd_fountain_finished *blocks, uint32_t count)
{
    struct memory_sink *sink = impl;
    (void)cx;
    assert(sink->finished_count + count <= sink->finished_cap);
    memcpy(sink->finished + sink->finished_count, blocks, count * sizeof *blocks);
    sink->finished_count += count;
    return URD_OK;
}

static inline urd_err memory_finish(void *impl, struct urd_cx *cx, const uint8_t root[static 32])
{
    struct memory_sink *sink = impl;
    (void)cx;
    memcpy(sink->root, root, 32);
    sink->placed = true;
    return URD_OK;
}

/* Carry the digests, as RPC would. */
static inline urd_err digests_carry(struct urd_cx *cx, void *arg)
{
    struct rig *rig = arg;
    uint8_t *bytes = malloc(URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX);
    uint32_t next = 0;
    urd_err err = URD_OK;
    while (err == URD_OK && next <= rig->manifest.layout.blocks) {
        size_t len;
        err = urd_fountain_digests_wait(cx, rig->sent_digests, next, URD_FOREVER);
        if (err == URD_OK)
            err = urd_fountain_digests_encode(rig->sent_digests, next, bytes,
                                              URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX, &len, &next);
        if (err != URD_OK) break;
        if (rig->wrong_digests) bytes[len - 1] ^= 1;
        err = urd_fountain_digests_decode(rig->received_digests, bytes, len, NULL);
    }
    free(bytes);
    return err == URD_E_CLOSED ? URD_OK : err;
}

static inline urd_err rig_send_task(struct urd_cx *cx, void *arg)
{
    struct rig *rig = arg;
    rig->send_err = urd_fountain_send(cx, rig->near, &rig->send, &rig->sent, rig->send_msg,
                                      sizeof rig->send_msg);
    return URD_OK;
}

static inline urd_err rig_receive_task(struct urd_cx *cx, void *arg)
{
    struct rig *rig = arg;
    rig->receive_err = urd_fountain_receive(cx, rig->far, &rig->receive, &rig->received,
                                            rig->receive_msg, sizeof rig->receive_msg);
    return URD_OK;
}

static inline urd_err hub_task(struct urd_cx *cx, void *arg)
{
    return urd_fountain_hub_run(cx, arg);
}

/* A manifest of one file of @len random bytes, a sink for it. */
static inline void rig_init(struct rig *rig, size_t len)
{
    memset(rig, 0, sizeof *rig);
    urd_fountain_manifest_init(&rig->manifest);
    struct urd_fountain_entry entry = {
        .path = (char[]){ "file" }, .kind = URD_FOUNTAIN_ENTRY_FILE, .mode = 0644, .size_bytes = len
    };
    urd_err err = urd_fountain_manifest_add(&rig->manifest, &entry);
    assert(err == URD_OK);
    err = urd_fountain_manifest_seal(&rig->manifest, 0);
    assert(err == URD_OK);
    rig->source = (struct memory_source){ .bytes = malloc(len + 8), .len = len };
    rig->sink = (struct memory_sink){ .bytes = calloc(1, len + 8),
                                      .len = len,
                                      .finished_cap = 2 * rig->manifest.layout.blocks + 1 };
    rig->sink.finished = calloc(rig->sink.finished_cap, sizeof *rig->sink.finished);
    uint64_t seed = len;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t x = rig_random(&seed);
        memcpy(rig->source.bytes + i, &x, 8);
    }
    rig->source_table = (struct urd_fountain_source){ memory_read, &rig->source };
    rig->sink_table =
        (struct urd_fountain_sink){ memory_write, memory_commit, memory_finish, &rig->sink };
    rig->send = (struct urd_fountain_send_options){ .agreement = &rig->agreement,
                                                    .manifest = &rig->manifest,
                                                    .source = &rig->source_table };
    rig->receive = (struct urd_fountain_receive_options){ .agreement = &rig->agreement,
                                                          .manifest = &rig->manifest,
                                                          .sink = &rig->sink_table };
}

static inline void rig_done(struct rig *rig)
{
    free(rig->source.bytes);
    free(rig->sink.bytes);
    free(rig->sink.finished);
    urd_fountain_manifest_done(&rig->manifest);
}

/* Run one session in @cx: hubs, relay, digests, send and receive; @during (may be NULL) runs beside
 * them.  Returns when both ends have. */
static inline urd_err rig_session(struct urd_cx *cx, struct rig *rig, urd_task_fn during)
{
    struct urd_address local;
    urd_err err = urd_address_parse("127.0.0.1:0", &local);
    struct relay *relay = &rig->relay;
    assert(err == URD_OK);
    err = urd_fountain_hub_open(cx, &local, &rig->near);
    if (err == URD_OK) err = urd_fountain_hub_open(cx, &local, &rig->far);
    if (err == URD_OK) err = urd_udp_open(cx, &local, 4u << 20, &relay->near);
    if (err == URD_OK) err = urd_udp_open(cx, &local, 4u << 20, &relay->far);
    assert(err == URD_OK);
    urd_fountain_hub_local(rig->far, &relay->receiver);
    atomic_store(&relay->sender_known, false);
    rig->send.peer.len = 0;
    rig->receive.peer.len = 0;
    if (rig->receiver_finds_sender) {
        urd_fountain_hub_local(rig->near, &relay->sender);
        atomic_store(&relay->sender_known, true);
        urd_udp_local(relay->far, &rig->receive.peer);
    } else {
        urd_udp_local(relay->near, &rig->send.peer);
    }

    err = urd_fountain_digests_new(rig->manifest.layout.blocks, &rig->sent_digests);
    assert(err == URD_OK);
    err = urd_fountain_digests_new(rig->manifest.layout.blocks, &rig->received_digests);
    assert(err == URD_OK);
    for (unsigned i = 0; i < 2; i++) { /* the offers cross as bytes */
        uint8_t bytes[URD_FOUNTAIN_OFFER_LEN];
        err = urd_fountain_offer_make(cx, &rig->offers[i]);
        assert(err == URD_OK);
        urd_fountain_offer_encode(&rig->offers[i], bytes);
        err = urd_fountain_offer_decode(bytes, sizeof bytes, &rig->offers[i]);
        assert(err == URD_OK);
    }
    urd_fountain_agree(&rig->offers[0], &rig->offers[1], &rig->agreement);
    rig->send.digests = rig->sent_digests;
    rig->receive.digests = rig->received_digests;

    struct relay_arg ways[2] = { { relay, true }, { relay, false } };
    static const struct urd_region_options collect = { .policy = URD_REGION_COLLECT };
    URD_REGION(outer);
    if (!urd_region_open(cx, &collect, outer)) return URD_E_NOMEM;
    struct urd_scope *scope = urd_region_scope(outer);
    err = urd_spawn(cx, scope, NULL, hub_task, rig->near);
    if (err == URD_OK) err = urd_spawn(cx, scope, NULL, hub_task, rig->far);
    if (err == URD_OK) err = urd_spawn(cx, scope, NULL, relay_run, &ways[0]);
    if (err == URD_OK) err = urd_spawn(cx, scope, NULL, relay_run, &ways[1]);
    if (err == URD_OK && rig->carry_digests) err = urd_spawn(cx, scope, NULL, digests_carry, rig);
    if (err == URD_OK && during != NULL) err = urd_spawn(cx, scope, NULL, during, rig);
    URD_REGION(inner);
    if (urd_region_open(cx, &collect, inner)) {
        if (err == URD_OK)
            err = urd_spawn(cx, urd_region_scope(inner), NULL, rig_receive_task, rig);
        if (err == URD_OK) err = urd_spawn(cx, urd_region_scope(inner), NULL, rig_send_task, rig);
        urd_region_join(cx, inner, NULL);
    }
    urd_region_close(cx, outer, NULL);

    urd_fountain_digests_free(rig->sent_digests);
    urd_fountain_digests_free(rig->received_digests);
    urd_fountain_hub_close(rig->near);
    urd_fountain_hub_close(rig->far);
    urd_udp_close(relay->near);
    urd_udp_close(relay->far);
    return err;
}

struct rig_body {
    struct rig *rig;
    urd_task_fn during;
};

static inline urd_err rig_body_run(struct urd_cx *cx, void *arg)
{
    struct rig_body *body = arg;
    return rig_session(cx, body->rig, body->during);
}

/* One session in a runtime of its own. */
static inline urd_err rig_run(struct rig *rig, urd_task_fn during)
{
    struct rig_body body = { rig, during };
    struct urd_outcome outcome;
    urd_err err = urd_runtime_run(NULL, rig_body_run, &body, &outcome);
    return err != URD_OK ? err : outcome.err;
}

static inline bool rig_arrived(const struct rig *rig)
{
    return rig->sink.placed && memcmp(rig->source.bytes, rig->sink.bytes, rig->source.len) == 0;
}

#endif
