/* What a running runtime tells of itself: counters, and the tree of regions and tasks. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/scheduler_internal.h"

/* The potential's weights: it falls with every task that ends, obligation settled, region closed,
 * and with time; no rule raises it in a closing region. */
#define V_TASK       1000u
#define V_OBLIGATION 100u
#define V_REGION     10u
#define V_NS_LEFT    1000000u /* one for each ms of cleanup budget left */

struct measuring {
    uint64_t potential, now_ns;
};

static bool measure_region(struct urd_scope *region, void *arg)
{
    struct measuring *m = arg;
    if (region->cancel_reason == URD_CANCEL_NONE) return true;
    m->potential += V_REGION + (uint64_t)region->live * V_TASK;
    for (const struct urd_owed *o = region->owed; o != NULL; o = o->next)
        m->potential += V_OBLIGATION;
    if (region->cleanup_deadline_ns > m->now_ns)
        m->potential += (region->cleanup_deadline_ns - m->now_ns) / V_NS_LEFT;
    return true;
}

static void measure_task(struct urd_task *t, void *arg)
{
    (void)t;
    (void)arg;
}

void urd_runtime_stats(struct urd_cx *cx, struct urd_runtime_stats *ret)
{
    static const struct urd_scope_visitor visitor = { .region = measure_region,
                                                      .task = measure_task };
    struct urd_runtime *rt = urd_task_of(cx)->region->runtime;
    struct measuring m = { .now_ns = urd_runtime_now(rt) };
    urd_scope_walk(rt->top, NULL, &visitor, &m);
    uint64_t ended = URD_COUNTED(rt, ended), spawned = URD_COUNTED(rt, spawned);
    uint64_t closed = URD_COUNTED(rt, regions_closed), opened = URD_COUNTED(rt, regions_opened);
    uint64_t settled = URD_COUNTED(rt, settled), reserved = URD_COUNTED(rt, reserved);
    *ret = (struct urd_runtime_stats){
        .tasks_live = spawned - ended,
        .tasks_spawned = spawned,
        .regions_open = opened - closed,
        .steals = URD_COUNTED(rt, steals),
        .parks = URD_COUNTED(rt, parks),
        .cancels = URD_COUNTED(rt, cancels),
        .obligations_open = reserved > settled ? reserved - settled : 0,
        .cleanup_overruns = URD_COUNTED(rt, overruns),
        .gate_denials = URD_COUNTED(rt, denials),
        .blocking_active = urd_blocking_active(&rt->blocking),
        .potential = m.potential,
    };
}

/* ---- dump ---- */

#define LINE_BYTES_MAX 256u
#define DUMP_BYTES_MAX (4u << 20) /* what does not fit is left out, and said so */

struct dumping {
    char *text;
    size_t len;
    bool cut;
};

__attribute__((format(printf, 2, 3))) static void line(struct dumping *d, const char *format, ...)
{
    char one[LINE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(one, sizeof one, format, args);
    va_end(args);
    size_t bytes = n < 0 ? 0 : (size_t)n < sizeof one ? (size_t)n : sizeof one - 1;
    if (d->len + bytes + 1 > DUMP_BYTES_MAX) {
        d->cut = true;
        return;
    }
    memcpy(d->text + d->len, one, bytes);
    d->text[d->len + bytes] = '\0';
    d->len += bytes + 1;
}

static unsigned depth_of(const struct urd_scope *region)
{
    unsigned depth = 0;
    for (; region->parent != NULL; region = region->parent)
        depth++;
    return depth;
}

static bool dump_region(struct urd_scope *region, void *arg)
{
    static const char *const states[] = { "open", "closing", "draining", "finalizing", "closed" };
    unsigned indent = 4 * depth_of(region);
    line(arg, "%*sregion %s #%llu %s, %u tasks%s", (int)indent, "", region->name,
         (unsigned long long)region->id, states[region->state], region->live,
         region->pinned != NULL ? ", pinned" : "");
    return true;
}

static const char *state_of(const struct urd_task *t)
{
    if (__atomic_load_n(&t->claim, __ATOMIC_SEQ_CST) != URD_CLAIM_NONE) return "blocked";
    return "ready or running";
}

static void dump_task(struct urd_task *t, void *arg)
{
    unsigned indent = 4 * depth_of(t->region) + 2;
    line(arg, "%*stask %s #%llu %s%s (%s:%d)", (int)indent, "", t->name, (unsigned long long)t->id,
         state_of(t), urd_task_cancelled(t) != URD_CANCEL_NONE ? ", cancelled" : "", t->file,
         t->line);
}

void urd_runtime_dump(struct urd_cx *cx, void (*print)(void *arg, const char *line), void *arg)
{
    static const struct urd_scope_visitor visitor = { .region = dump_region, .task = dump_task };
    struct dumping d = { .text = malloc(DUMP_BYTES_MAX) };
    if (d.text == NULL) {
        print(arg, "no memory for a dump");
        return;
    }
    /* text first: @print may block, the walk holds locks */
    urd_scope_walk(urd_task_of(cx)->region->runtime->top, NULL, &visitor, &d);
    for (size_t at = 0; at < d.len; at += strlen(d.text + at) + 1)
        print(arg, d.text + at);
    if (d.cut) print(arg, "... and more");
    free(d.text);
}
