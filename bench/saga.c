/* Sagas a second through the engine on LMDB, every promise durable, participants that answer at
 * once: what the engine and the store cost.  saga [SECONDS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/runtime.h"
#include "saga/engine.h"
#include "storage/committer.h"
#include "storage/kv_lmdb.h"

#define CLIENTS_MAX 512

static const char *const trip =
    "{\"saga\":\"trip\",\"steps\":["
    "{\"name\":\"a\",\"op\":\"Reserve\",\"action\":\"x\",\"compensate\":\"u\",\"input\":{\"n\":2}},"
    "{\"name\":\"b\",\"op\":\"Reserve\",\"action\":\"x\",\"compensate\":\"u\"},"
    "{\"name\":\"c\",\"op\":\"Commit\",\"action\":\"%s\",\"compensate\":\"u\","
    "\"input\":{\"$from\":\"a\"}}]}";

struct bench {
    struct storage *store;
    struct storage_committer *committer;
    struct saga_engine *engine;
    struct urd_caps_grant *grant;
    char document[512];
    uint64_t until_ns, sagas, seconds;
    uint64_t latency_ns[1u << 18];
};

static urd_err answer(void *impl, struct urd_cx *cx, struct saga_dispatch *d,
                      struct saga_answer *ret)
{
    (void)impl;
    urd_err err = saga_dispatch_take(cx, d, NULL);
    bool no = d->action != NULL && strcmp(d->action, "no") == 0;
    if (err == URD_OK) ret->kind = no ? SAGA_FAIL : SAGA_DONE;
    return err;
}

static const struct saga_participant_ops participant = { .dispatch = answer };

static urd_err client(struct urd_cx *cx, void *arg)
{
    struct bench *b = arg;
    while (urd_cx_now(cx) < b->until_ns) {
        struct saga_receipt receipt;
        struct saga_moment moment;
        uint64_t from_ns = urd_cx_now(cx);
        urd_err err = saga_engine_submit(cx, b->engine, b->grant, b->document, strlen(b->document),
                                         NULL, &receipt, NULL, 0);
        if (err == URD_OK)
            err = saga_engine_wait(cx, b->engine, receipt.id, 0, true, URD_FOREVER, &moment);
        if (err != URD_OK) return err;
        uint64_t n = __atomic_fetch_add(&b->sagas, 1, __ATOMIC_RELAXED);
        if (n < sizeof b->latency_ns / sizeof b->latency_ns[0])
            b->latency_ns[n] = urd_cx_now(cx) - from_ns;
    }
    return URD_OK;
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void measure(struct urd_cx *cx, struct bench *b, uint32_t clients, const char *last)
{
    struct storage_committer_stats before, after;
    (void)snprintf(b->document, sizeof b->document, trip, last);
    storage_committer_stats(b->committer, &before);
    uint64_t from_ns = urd_cx_now(cx);
    b->sagas = 0;
    b->until_ns = from_ns + b->seconds * 1000000000u;
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return;
    for (uint32_t i = 0; i < clients; i++)
        if (urd_spawn(cx, urd_region_scope(r), NULL, client, b) != URD_OK) break;
    urd_region_join(cx, r, NULL);
    double s = (double)(urd_cx_now(cx) - from_ns) / 1e9;
    storage_committer_stats(b->committer, &after);
    uint64_t n = b->sagas < (1u << 18) ? b->sagas : 1u << 18;
    qsort(b->latency_ns, n, sizeof b->latency_ns[0], ascending);
    (void)printf(
        "%-10s clients %3u  %7.0f sagas/s  p50 %6.2f ms  p99 %6.2f ms  %5.1f ops a commit\n",
        strcmp(last, "no") == 0 ? "undone" : "committed", clients, (double)b->sagas / s,
        (double)b->latency_ns[n / 2] / 1e6, (double)b->latency_ns[n - n / 100 - 1] / 1e6,
        (double)(after.ops - before.ops) / (double)(after.groups - before.groups));
}

static urd_err body(struct urd_cx *cx, void *arg)
{
    struct bench *b = arg;
    static const uint32_t clients[] = { 1, 16, 128, CLIENTS_MAX };
    struct saga_engine_options options = { .store = b->store, .participant = &participant };
    URD_REGION(below);
    URD_REGION(above);
    urd_err err = storage_committer_new(b->store, NULL, &b->committer);
    if (err != URD_OK) return err;
    options.committer = b->committer;
    err = saga_engine_new(&options, &b->engine);
    if (err != URD_OK) return err;
    if (!urd_region_open(cx, NULL, below)) return URD_E_NOMEM;
    err = urd_spawn(cx, urd_region_scope(below), NULL, storage_committer_run, b->committer);
    if (err == URD_OK && urd_region_open(cx, NULL, above)) {
        err = urd_spawn(cx, urd_region_scope(above), NULL, saga_engine_run, b->engine);
        for (unsigned i = 0; i < sizeof clients / sizeof clients[0] && err == URD_OK; i++)
            measure(cx, b, clients[i], "x");
        measure(cx, b, 128, "no");
        saga_engine_close(b->engine);
        urd_region_join(cx, above, NULL);
    }
    storage_committer_close(b->committer);
    urd_region_join(cx, below, NULL);
    saga_engine_free(b->engine);
    storage_committer_free(b->committer);
    return err;
}

int main(int argc, char **argv)
{
    static const uint8_t grant[] = {
        1, 0,   0, 0, 0, 0, 0, 0, 1, /* key */
        1, 2,   3, 4, 5, 6, 7, 8, 9,    10,   11,   12,   13,   14,   15,   16,
        0, 0,   0, 0, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* never */
        1, 'a', 0, 0, 0
    };
    static struct bench b;
    char dir[] = "/tmp/urd_bench_XXXXXX", command[64], why[256] = "";
    struct urd_outcome outcome;
    b.seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 2;
    if (mkdtemp(dir) == NULL || urd_caps_grant_decode(grant, sizeof grant, &b.grant) != URD_OK ||
        storage_lmdb_open(dir, NULL, &b.store, why, sizeof why) != URD_OK) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    urd_err err = urd_runtime_run(NULL, body, &b, &outcome);
    storage_close(b.store);
    urd_caps_grant_free(b.grant);
    (void)snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) != 0 || err != URD_OK || outcome.kind != URD_OUTCOME_OK;
}
