/* What the runtime costs: a turn of the scheduler, a task, a hand-over through a channel, a sleeper
 * cancelled.
 *
 *     bench/run runtime [--json] [--workers N]      (default 1; medians of ROUNDS runs) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/channel.h"
#include "runtime/runtime.h"

#define ROUNDS    5
#define YIELDS    1000000u
#define TASKS     200000u
#define BALLS     200000u
#define ITEMS     1000000u
#define SLEEPERS  10000u
#define TREE_WIDE 10u
#define TREE_DEEP 5u /* 10^5 leaves */

static void must(bool ok, const char *what)
{
    if (ok) return;
    (void)fprintf(stderr, "bench_runtime: %s failed\n", what);
    abort();
}

/* urd_cx_now() keeps within a turn; a checkpoint begins a new one. */
static uint64_t now(struct urd_cx *cx)
{
    must(urd_checkpoint(cx) == URD_OK, "checkpoint");
    return urd_cx_now(cx);
}

/* ---- one measurement each: nanoseconds an operation ---- */

static double yield_alone(struct urd_cx *cx)
{
    uint64_t begin = now(cx);
    for (uint32_t i = 0; i < YIELDS; i++)
        must(urd_yield(cx) == URD_OK, "yield");
    return (double)(now(cx) - begin) / YIELDS;
}

static urd_err nothing(struct urd_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return URD_OK;
}

static void spawn_and_join(struct urd_cx *cx, struct urd_scope *scope)
{
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, nothing, NULL, j, &err)) return;
    urd_join_wait(cx, j, NULL);
}

static double spawn_join_each(struct urd_cx *cx)
{
    uint64_t begin = now(cx);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return 0;
    for (uint32_t i = 0; i < TASKS; i++)
        spawn_and_join(cx, urd_region_scope(r));
    urd_region_join(cx, r, NULL);
    return (double)(now(cx) - begin) / TASKS;
}

static double spawn_all_then_join(struct urd_cx *cx)
{
    uint64_t begin = now(cx);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return 0;
    for (uint32_t i = 0; i < TASKS; i++)
        must(urd_spawn(cx, urd_region_scope(r), NULL, nothing, NULL) == URD_OK, "spawn");
    urd_region_join(cx, r, NULL);
    return (double)(now(cx) - begin) / TASKS;
}

struct court {
    struct urd_channel *there, *back;
};
static urd_err return_the_ball(struct urd_cx *cx, void *arg)
{
    struct court *court = arg;
    uint32_t ball;
    urd_err err;
    while ((err = urd_channel_receive(cx, court->there, &ball, URD_FOREVER)) == URD_OK)
        if ((err = urd_channel_send(cx, court->back, &ball)) != URD_OK) break;
    return err == URD_E_CLOSED ? URD_OK : err;
}

static double ping_pong(struct urd_cx *cx)
{
    struct court court;
    uint32_t ball = 0;
    must(urd_channel_new(4, 1, &court.there) == URD_OK, "channel");
    must(urd_channel_new(4, 1, &court.back) == URD_OK, "channel");
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return 0;
    must(urd_spawn(cx, urd_region_scope(r), NULL, return_the_ball, &court) == URD_OK, "spawn");
    uint64_t begin = now(cx);
    for (uint32_t i = 0; i < BALLS; i++) {
        must(urd_channel_send(cx, court.there, &ball) == URD_OK, "send");
        must(urd_channel_receive(cx, court.back, &ball, URD_FOREVER) == URD_OK, "receive");
    }
    double ns = (double)(now(cx) - begin) / BALLS;
    urd_channel_close(court.there);
    urd_region_join(cx, r, NULL);
    urd_channel_free(court.there);
    urd_channel_free(court.back);
    return ns;
}

static urd_err take_all(struct urd_cx *cx, void *arg)
{
    uint32_t item;
    urd_err err;
    do
        err = urd_channel_receive(cx, arg, &item, URD_FOREVER);
    while (err == URD_OK);
    return err == URD_E_CLOSED ? URD_OK : err;
}

static double stream(struct urd_cx *cx)
{
    struct urd_channel *channel;
    must(urd_channel_new(4, 1024, &channel) == URD_OK, "channel");
    uint64_t begin = now(cx);
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return 0;
    must(urd_spawn(cx, urd_region_scope(r), NULL, take_all, channel) == URD_OK, "spawn");
    for (uint32_t i = 0; i < ITEMS; i++)
        must(urd_channel_send(cx, channel, &i) == URD_OK, "send");
    urd_channel_close(channel);
    urd_region_join(cx, r, NULL);
    urd_channel_free(channel);
    return (double)(now(cx) - begin) / ITEMS;
}

static urd_err sleep_long(struct urd_cx *cx, void *arg)
{
    ++*(uint32_t *)arg;
    return urd_sleep(cx, 3600000000000u);
}

static double cancel_sleepers(struct urd_cx *cx)
{
    static const struct urd_spawn_options small = { .stack = URD_STACK_SMALL };
    uint32_t asleep = 0;
    URD_REGION(r);
    static const struct urd_region_options pinned = { .pinned = true };
    if (!urd_region_open(cx, &pinned, r)) return 0;
    for (uint32_t i = 0; i < SLEEPERS; i++)
        must(urd_spawn(cx, urd_region_scope(r), &small, sleep_long, &asleep) == URD_OK, "spawn");
    while (asleep < SLEEPERS)
        must(urd_yield(cx) == URD_OK, "yield");
    uint64_t begin = now(cx);
    urd_region_close(cx, r, NULL);
    return (double)(now(cx) - begin) / SLEEPERS;
}

struct branch {
    uint32_t depth;
    uint64_t sum;
};
static urd_err grow(struct urd_cx *cx, void *arg)
{
    struct branch *me = arg, below[TREE_WIDE];
    if (me->depth == 0) {
        me->sum = 1;
        return URD_OK;
    }
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    for (uint32_t i = 0; i < TREE_WIDE; i++) {
        below[i] = (struct branch){ me->depth - 1, 0 };
        must(urd_spawn(cx, urd_region_scope(r), NULL, grow, &below[i]) == URD_OK, "spawn");
    }
    urd_region_join(cx, r, NULL);
    for (uint32_t i = 0; i < TREE_WIDE; i++)
        me->sum += below[i].sum;
    return URD_OK;
}

static double tree(struct urd_cx *cx)
{
    struct branch top = { TREE_DEEP, 0 };
    uint64_t begin = now(cx);
    must(grow(cx, &top) == URD_OK, "tree");
    return (double)(now(cx) - begin) / (double)top.sum;
}

/* ---- the table ---- */

static const struct {
    const char *key, *what;
    double (*measure)(struct urd_cx *cx);
} measures[] = {
    { "yield_ns", "yield, alone", yield_alone },
    { "spawn_join_ns", "spawn and join, one at a time", spawn_join_each },
    { "spawn_many_ns", "spawn 200000, then join", spawn_all_then_join },
    { "ping_pong_ns", "channel round trip", ping_pong },
    { "stream_ns", "channel of 1024, an item", stream },
    { "cancel_ns", "cancel and await 10000 sleepers, each", cancel_sleepers },
    { "tree_ns", "tree of regions, 10 wide, a leaf", tree },
};
#define MEASURES (sizeof measures / sizeof *measures)

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static urd_err measure_all(struct urd_cx *cx, void *arg)
{
    bool json = *(bool *)arg;
    if (json) (void)printf("{");
    for (unsigned m = 0; m < MEASURES; m++) {
        double rounds[ROUNDS];
        for (unsigned i = 0; i < ROUNDS; i++)
            rounds[i] = measures[m].measure(cx);
        qsort(rounds, ROUNDS, sizeof *rounds, by_value);
        if (json)
            (void)printf("%s\"%s\": %.1f", m == 0 ? "" : ", ", measures[m].key, rounds[ROUNDS / 2]);
        else
            (void)printf("%-40s %9.1f ns\n", measures[m].what, rounds[ROUNDS / 2]);
    }
    if (json) (void)printf("}\n");
    return URD_OK;
}

int main(int argc, char **argv)
{
    bool json = false;
    struct urd_runtime_options options = { .workers = 1 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--workers") == 0 && i + 1 < argc) {
            options.workers = (uint32_t)atoi(argv[++i]);
        } else {
            (void)fprintf(stderr, "usage: bench_runtime [--json] [--workers N]\n");
            return 2;
        }
    }
    struct urd_outcome outcome;
    if (urd_runtime_run(&options, measure_all, &json, &outcome) != URD_OK) return 1;
    return outcome.kind == URD_OUTCOME_OK ? 0 : 1;
}
