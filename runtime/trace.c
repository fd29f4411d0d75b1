/* One ring a worker, written by it alone, and one more for foreign threads, behind a lock. */
#include "runtime/trace.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/scheduler_internal.h"

#define RINGS   (URD_WORKERS_MAX + 1u)
#define FOREIGN URD_WORKERS_MAX

static const struct urd_rule_info rules[URD_RULE_COUNT] = {
#define URD_RULE(name_, on_, precondition_, effect_)                                               \
    [URD_RULE_##name_] = { #name_, URD_ON_##on_, precondition_, effect_ },
#include "runtime/rules.def"
#undef URD_RULE
};

bool urd_trace_on_;
static size_t ring_events;
static uint64_t next_number; /* atomic */
static struct {
    uint32_t lock; /* short, and uncontended but for a reader and foreign threads */
    struct urd_event_record *events;
    uint64_t count; /* ever written */
} rings[RINGS];

const struct urd_rule_info *urd_rule_info(unsigned rule)
{
    return rule < URD_RULE_COUNT ? &rules[rule] : NULL;
}

static void free_all(void)
{
    for (unsigned i = 0; i < RINGS; i++) {
        free(rings[i].events);
        rings[i].events = NULL;
        rings[i].count = 0;
    }
}

urd_err urd_trace_start(size_t events)
{
    if (events == 0 || events > URD_TRACE_EVENTS_MAX) return URD_E_INVALID;
    if (__atomic_load_n(&urd_trace_on_, __ATOMIC_RELAXED)) return URD_E_BUSY;
    ring_events = events;
    next_number = 0;
    for (unsigned i = 0; i < RINGS; i++) { /* memory is used as it is written */
        rings[i].events = calloc(events, sizeof *rings[i].events);
        if (rings[i].events == NULL) {
            free_all();
            return URD_E_NOMEM;
        }
    }
    __atomic_store_n(&urd_trace_on_, true, __ATOMIC_RELEASE);
    return URD_OK;
}

void urd_trace_emit_(enum urd_rule rule, uint64_t subject, uint64_t detail)
{
    struct urd_worker *w = urd_worker_current();
    unsigned at = w != NULL ? w->index : FOREIGN;
    struct urd_event_record event = {
        .subject = subject,
        .detail = detail,
        .rule = (uint8_t)rule,
        .worker = w != NULL ? (uint8_t)w->index : UINT8_MAX,
    };
    urd_spin_lock(&rings[at].lock);
    if (rings[at].events != NULL) {
        event.number = __atomic_fetch_add(&next_number, 1, __ATOMIC_RELAXED);
        rings[at].events[rings[at].count++ % ring_events] = event;
    }
    urd_spin_unlock(&rings[at].lock);
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct urd_event_record *)a)->number;
    uint64_t y = ((const struct urd_event_record *)b)->number;
    return x < y ? -1 : x > y;
}

size_t urd_trace_read(struct urd_event_record *ret, size_t max)
{
    size_t total = 0, kept = 0;
    for (unsigned i = 0; i < RINGS; i++) {
        urd_spin_lock(&rings[i].lock);
        total += rings[i].count < ring_events ? rings[i].count : ring_events;
        urd_spin_unlock(&rings[i].lock);
    }
    struct urd_event_record *all = malloc((total + 1) * sizeof *all);
    if (all == NULL) return 0;
    for (unsigned i = 0; i < RINGS; i++) {
        urd_spin_lock(&rings[i].lock);
        uint64_t count = rings[i].count;
        uint64_t from = count < ring_events ? 0 : count - ring_events;
        for (; from < count && kept < total; from++)
            all[kept++] = rings[i].events[from % ring_events];
        urd_spin_unlock(&rings[i].lock);
    }
    qsort(all, kept, sizeof *all, by_number);
    if (kept > max) kept = max;
    memcpy(ret, all, kept * sizeof *all);
    free(all);
    return kept;
}

uint64_t urd_trace_lost(void)
{
    uint64_t lost = 0;
    for (unsigned i = 0; i < RINGS; i++) {
        urd_spin_lock(&rings[i].lock);
        if (rings[i].count > ring_events) lost += rings[i].count - ring_events;
        urd_spin_unlock(&rings[i].lock);
    }
    return lost;
}

void urd_trace_stop(void)
{
    __atomic_store_n(&urd_trace_on_, false, __ATOMIC_RELEASE);
    free_all();
}
