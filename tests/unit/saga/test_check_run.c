/* The real engine under failing, forgetful participants, cancels and crashes, workers' steps and
 * built-in ones mixed: the checkers find nothing, in the middle and at the end; and of the same run
 * with one line of a ledger changed they find it. */
#include "engine_fixture.h"

#include "saga/builtin.h"
#include "saga/check.h"

#define SAGAS  40
#define ROUNDS 6

/* --- what runs -------------------------------------------------------------------------------- */

static enum saga_answer_kind moody(struct world *w, struct urd_cx *cx, struct saga_dispatch *d)
{
    (void)cx;
    pthread_mutex_lock(&w->lock);
    uint32_t mood = roll(&w->seed) % 24;
    pthread_mutex_unlock(&w->lock);
    if (mood < 3 && d->direction == SAGA_DO) return SAGA_FAIL;
    if (mood < 7) return SAGA_UNKNOWN;
    return mood < 9 ? SAGA_RETRY : SAGA_DONE;
}

static void write_document(struct world *w, char *ret, size_t cap)
{
    static const char *const kinds[] = {
        "'op':'Reserve','action':'x','compensate':'u'",
        "'op':'Consume','action':'y','compensate':'v'",
        "'op':'Reserve','input':{'quantity':'seats','amount':2}",
        "'op':'Send','input':{'queue':'q','message':1}",
        "'op':'Acquire','input':{'lease':'door','ttl_ms':2}",
        "'op':'Reserve','action':'x','undo':'none'",
    };
    uint32_t steps = 1 + roll(&w->seed_here) % 5;
    size_t len = (size_t)snprintf(ret, cap, "{'saga':'s','compensate_parallel':%s,'steps':[",
                                  roll(&w->seed_here) % 2 ? "true" : "false");
    for (uint32_t i = 0; i < steps; i++)
        len += (size_t)snprintf(ret + len, cap - len,
                                "{'name':'s%u',%s,'retry':{'first_ms':1,'cap_ms':4}},", i,
                                kinds[roll(&w->seed_here) % 6]);
    const char *last = roll(&w->seed_here) % 2 ? "" : ",'action':'x'";
    (void)snprintf(ret + len, cap - len,
                   "{'name':'end','op':'Commit'%s,'retry':{'first_ms':1,'cap_ms':4}}]}", last);
}

static void begin_all(struct urd_cx *cx, struct world *w)
{
    char document[2048];
    if (saga_builtin_define_quantity(cx, w->committer, "seats", 30) != URD_OK) return;
    for (int i = 0; i < SAGAS; i++) {
        struct saga_receipt receipt;
        write_document(w, document, sizeof document);
        if (try_submit(cx, w, document, NULL, &receipt) != URD_OK) return; /* it crashed */
        if (roll(&w->seed_here) % 4 == 0) (void)!saga_engine_cancel(cx, w->engine, receipt.id, "c");
    }
    nap(cx, (roll(&w->seed_here) % 10) * MS);
}

/* Also those whose submit was not acknowledged any more. */
static void end_all(struct urd_cx *cx, struct world *w)
{
    struct saga_engine_stats stats = { .open = 1 };
    for (unsigned i = 0; i < 20000 && stats.open > 0; i++) {
        if (urd_sleep(cx, MS) != URD_OK) return;
        saga_engine_stats(w->engine, &stats);
    }
}

/* --- what is checked -------------------------------------------------------------------------- */

struct found {
    unsigned count;
    char rules[256], first[512];
};

static void tell_found(void *arg, const struct saga_breach *breach)
{
    struct found *f = arg;
    if (f->count++ == 0) (void)snprintf(f->first, sizeof f->first, "%s", breach->sentence);
    if (strstr(f->rules, breach->rule) == NULL && strlen(f->rules) < 200) {
        strcat(f->rules, breach->rule);
        strcat(f->rules, " ");
    }
}

/* What the participants did, as their ledger would have it; line @without is left out, line @twice
 * is there twice, and the epoch of the effect at line @old is 0. */
static char *ledger_of(const struct world *w, uint32_t without, uint32_t twice, uint32_t old,
                       size_t *ret_len)
{
    size_t cap = (size_t)w->events_len * 512 + 1024, len = 0;
    char *text = malloc(cap);
    assert_non_null(text);
    for (uint32_t i = 0; i < w->events_len; i++) {
        const struct event *e = &w->events[i];
        for (uint32_t k = i == without ? 2 : 0; k < (i == twice ? 3u : 2u); k++)
            len += (size_t)snprintf(text + len, cap - len,
                                    "{\"t\":%u,\"event\":\"%s\",\"key\":\"%s.%u.%s\","
                                    "\"epoch\":%llu}\n",
                                    i + 1, k == 0 ? "begin" : "effect", e->saga, e->step,
                                    e->direction == SAGA_DO ? "do" : "undo",
                                    (unsigned long long)(i == old ? 0 : e->epoch));
    }
    *ret_len = len;
    return text;
}

#define NO_LINE UINT32_MAX

static struct found look(struct world *w, bool require_ends, uint32_t without, uint32_t twice,
                         uint32_t old, struct saga_check_summary *ret)
{
    struct saga_ledgers ledgers = SAGA_LEDGERS_INIT;
    struct found found = { 0 };
    struct saga_check_options options = { .ledgers = &ledgers,
                                          .require_ends = require_ends,
                                          .report = tell_found,
                                          .report_arg = &found };
    struct storage_snapshot *snapshot;
    size_t len;
    char *text = ledger_of(w, without, twice, old, &len);
    assert_int_equal(saga_ledgers_add(&ledgers, text, len), URD_OK);
    assert_int_equal(ledgers.lines_damaged, 0);
    assert_int_equal(storage_snapshot_begin(w->store, "test", 0, &snapshot), URD_OK);
    assert_int_equal(saga_check_run(snapshot, &options, ret), URD_OK);
    storage_snapshot_end(snapshot);
    assert_int_equal(ret->breaches, found.count);
    saga_ledgers_done(&ledgers);
    free(text);
    return found;
}

static void finds_nothing(struct world *w, bool require_ends, struct saga_check_summary *ret)
{
    struct found found = look(w, require_ends, NO_LINE, NO_LINE, NO_LINE, ret);
    if (found.count > 0)
        print_error("%u breaches, %s: %s\n", found.count, found.rules, found.first);
    assert_int_equal(found.count, 0);
}

/* Change one line after another. */
static void finds_what_is_changed(struct world *w)
{
    struct saga_check_summary sum;
    uint32_t lost = 0;
    for (uint32_t i = 0; i < w->events_len; i += 7) {
        struct found found = look(w, true, NO_LINE, i, NO_LINE, &sum);
        assert_non_null(strstr(found.rules, "S5"));
        found = look(w, true, i, NO_LINE, NO_LINE, &sum);
        lost += found.count > 0;
        assert_true(found.count > 0 || w->events[i].direction == SAGA_DO);
    }
    assert_true(lost > 0);
}

/* The last effect of a saga with more than one, as if an older owner had asked for it. */
static void finds_an_old_epoch(struct world *w)
{
    struct saga_check_summary sum;
    for (uint32_t i = w->events_len; i-- > 0;)
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(w->events[i].saga, w->events[k].saga) != 0) continue;
            struct found found = look(w, true, NO_LINE, NO_LINE, i, &sum);
            assert_string_equal(found.rules, "S8 ");
            return;
        }
    fail_msg("no saga had two effects");
}

static unsigned crashed;

static void crash_and_go_on(struct world *w)
{
    struct saga_check_summary sum;
    for (unsigned crashes = 0;; crashes++) {
        uint64_t nth = crashes < 3 ? 20 + roll(&w->seed_here) % 150 : 1ull << 40;
        if (w->kind == ON_MEMORY)
            storage_memory_crash_at(
                w->disk, nth,
                (enum storage_memory_point)(roll(&w->seed_here) % STORAGE_MEMORY_POINTS),
                roll(&w->seed_here) % 2000, roll(&w->seed_here) % 2 == 0);
        world_run(w, crashes == 0 ? begin_all : end_all);
        urd_err err = w->engine_err;
        world_reopen(w);
        finds_nothing(w, false, &sum);
        if (err != URD_OK) crashed++;
        if (crashes > 0 && err == URD_OK) return;
        assert_true(crashes < 6);
    }
}

static void run_round(enum world_kind kind, unsigned round, struct saga_check_summary *ret)
{
    struct world *w = world_open(kind);
    w->seed += round * 7919;
    w->seed_here += round * 104729;
    w->script = moody;
    crash_and_go_on(w);
    if (kind == ON_MEMORY) /* what was armed last does not go off any more */
        storage_memory_crash_at(w->disk, 1ull << 40, STORAGE_MEMORY_BEFORE_WRITE, 0, false);
    world_run(w, end_all);
    assert_int_equal(w->engine_err, URD_OK);
    finds_nothing(w, true, ret);
    if (round == 0) {
        finds_what_is_changed(w);
        finds_an_old_epoch(w);
    }
    world_close(w);
}

static void of_an_engine_that_crashes_the_checkers_tell_nothing(void **state)
{
    enum world_kind kind = (enum world_kind)(uintptr_t)*state;
    struct saga_check_summary sum, all = { 0 };
    for (unsigned round = 0; round < (kind == ON_MEMORY ? ROUNDS : 1); round++) {
        run_round(kind, round, &sum);
        all.committed += sum.committed;
        all.compensated += sum.compensated;
        all.events += sum.events;
        assert_int_equal(sum.foreign, 0);
        assert_int_equal(sum.unchecked, 0);
    }
    /* It counts only if both ends were reached, and often. */
    assert_true(kind == ON_LMDB || crashed > 0);
    assert_true(all.committed > 5 && all.compensated > 5 && all.events > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        { .name = "of_an_engine_that_crashes_the_checkers_tell_nothing [ON_MEMORY]",
          .test_func = of_an_engine_that_crashes_the_checkers_tell_nothing,
          .initial_state = (void *)(uintptr_t)ON_MEMORY },
        { .name = "of_an_engine_that_crashes_the_checkers_tell_nothing [ON_LMDB]",
          .test_func = of_an_engine_that_crashes_the_checkers_tell_nothing,
          .initial_state = (void *)(uintptr_t)ON_LMDB },
    };
    return cmocka_run_group_tests_name("saga/check_run", tests, NULL, NULL);
}
