/* Random sagas against random participants, with crashes at any record: what must hold of every
 * history (S1-S4, S9, S10 of the invariants) is checked at each move.
 *
 * The participants keep perfect guards; their messages may be lost in both directions, delayed past
 * anything, and delivered after a crash of the engine ("ghosts"). */
#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "saga/decide.h"

#define STEPS_MAX    9u
#define RECORDS_MAX  20000u
#define MESSAGES_MAX 4096u
#define WILD_MOVES   250u
#define MOVES_MAX    20000u

static uint64_t seed;

static uint32_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}
static bool odds(uint32_t one_in)
{
    return chance() % one_in == 0;
}

/* --- the journal: bytes, of which some are durable -------------------------------------------- */

struct entry {
    uint8_t kind, *bytes;
    size_t len;
};

/* A do or undo on its way.  Its sender may have died or stopped waiting; it may still arrive. */
struct message {
    uint32_t step;
    enum saga_direction direction;
    bool awaited, taken;
};

enum effect_state { NEVER, ACTED, REFUSED, UNDONE }; /* what the participant's guard knows */

struct world {
    struct saga *saga;
    struct entry journal[RECORDS_MAX];
    uint32_t written, durable;
    struct message messages[MESSAGES_MAX];
    uint32_t messages_len;
    enum effect_state guard[STEPS_MAX];
    bool by_hand[STEPS_MAX];
    int64_t now_ns;
    bool cancel_acknowledged, wild;
    uint32_t crashes;
    bool reached_stuck, reached_late;
};
static struct world w;

static void fold(uint32_t records, struct saga **ret)
{
    static const uint8_t id[SAGA_ID_BYTES] = { 1 };
    char why[256] = "";
    assert_int_equal(saga_new(id, ret), URD_OK);
    for (uint32_t i = 0; i < records; i++) {
        struct saga_record record;
        struct entry *e = &w.journal[i];
        assert_int_equal(saga_record_decode(e->kind, e->bytes, e->len, &record), URD_OK);
        urd_err err = saga_apply(*ret, &record, why, sizeof why);
        if (err != URD_OK) print_error("refold: %s\n", why);
        assert_int_equal(err, URD_OK);
        saga_record_done(&record);
    }
}

static void append(const struct saga_record *record)
{
    char why[256] = "";
    struct entry *e = &w.journal[w.written];
    assert_true(w.written < RECORDS_MAX);
    e->kind = (uint8_t)record->kind;
    assert_int_equal(saga_record_encode(record, &e->bytes, &e->len), URD_OK);
    urd_err err = saga_apply(w.saga, record, why, sizeof why);
    if (err != URD_OK) print_error("apply: %s\n", why);
    assert_int_equal(err, URD_OK);
    w.written++;
}

static void crash(void)
{
    /* What was not durable may be lost, from the end. */
    uint32_t kept =
        w.durable + (w.written > w.durable ? chance() % (w.written - w.durable + 1) : 0);
    while (w.written > kept)
        free(w.journal[--w.written].bytes);
    w.durable = w.written;
    saga_free(w.saga);
    fold(w.written, &w.saga);
    saga_recovered(w.saga);
    for (uint32_t i = 0; i < w.messages_len; i++)
        w.messages[i].awaited = false;
    w.crashes++;
}

/* --- what must hold --------------------------------------------------------------------------- */

static bool net(uint32_t i)
{
    return w.guard[i] == ACTED;
}

static bool stays(uint32_t i)
{
    return w.saga->document->steps[i].undo_none || w.by_hand[i];
}

static void check_send_do(uint32_t i)
{
    struct saga *s, *live = w.saga;
    uint32_t batch = saga_batch_of(live, i);
    assert_false(w.cancel_acknowledged && !live->past_pivot);
    assert_int_equal(w.durable, w.written);                         /* the intent is */
    for (uint32_t a = 0; a < live->plan->batches[batch].first; a++) /* S4 */
        assert_true(net(a) || w.by_hand[a]);
    fold(w.durable, &s); /* S9 */
    for (uint32_t a = 0; a < live->plan->batches[batch].first; a++)
        assert_int_equal(s->work[a].phase, SAGA_STEP_IS_DONE);
    assert_int_equal(s->work[i].phase, SAGA_STEP_INTENDED);
    assert_false(s->backward);
    saga_free(s);
}

static void check_send_undo(uint32_t a)
{
    struct saga *s, *live = w.saga;
    fold(w.durable, &s);
    assert_true(s->backward); /* Compensating is durable */
    saga_free(s);
    assert_false(live->past_pivot);
    for (uint32_t i = 0; i < live->document->steps_len; i++)
        assert_int_not_equal(live->work[i].phase, SAGA_STEP_INTENDED);
    bool parallel = live->document->compensate_parallel;
    for (uint32_t b = a + 1; b < live->document->steps_len; b++) { /* S4 */
        bool beside = saga_batch_of(live, b) == saga_batch_of(live, a);
        bool needs = false;
        for (uint32_t k = 0; k < live->document->steps[b].from_len; k++)
            needs = needs || live->document->steps[b].from[k] == a;
        if (!parallel || !beside || needs) assert_true(!net(b) || stays(b));
    }
}

static void check_end(void)
{
    bool committed = w.saga->state == SAGA_COMMITTED;
    if (w.cancel_acknowledged) assert_false(committed);          /* S10 */
    for (uint32_t i = 0; i < w.saga->document->steps_len; i++) { /* S2, S3 */
        if (committed) assert_true(net(i) || w.by_hand[i]);
        if (!committed) assert_true(!net(i) || stays(i));
    }
}

/* --- participants ----------------------------------------------------------------------------- */

static void deliver(const struct message *m)
{
    enum effect_state *guard = &w.guard[m->step];
    if (m->direction == SAGA_DO) {
        if (*guard == NEVER) *guard = w.wild && odds(5) ? REFUSED : ACTED;
    } else {
        *guard = UNDONE; /* of a do that never came, too: it is refused from now on */
    }
}

static void answer(uint32_t at, enum saga_answer_kind kind, bool certain)
{
    struct message m = w.messages[at];
    struct saga_answer a = { .kind = kind, .certain = certain };
    struct saga_record record;
    w.messages[at].awaited = false;
    if (kind == SAGA_DONE) a.text = (char *)"{\"v\":1}";
    if (kind == SAGA_FAIL || kind == SAGA_UNKNOWN) a.text = (char *)"why";
    bool late = m.direction == SAGA_DO && w.saga->backward;
    if (!saga_judge(w.saga, m.step, m.direction, &a, false, w.now_ns, chance(), &record)) return;
    if (late) w.reached_late = true;
    append(&record);
}

static void forget(uint32_t at)
{
    w.messages[at] = w.messages[--w.messages_len];
}

/* Something happens to message @at. */
static void happen(uint32_t at)
{
    struct message *m = &w.messages[at];
    bool awaited = m->awaited;

    if (awaited && !m->taken) {
        if (w.wild && odds(6)) {
            answer(at, SAGA_NOT_TAKEN, false);
            forget(at);
            return;
        }
        bool do_late = m->direction == SAGA_DO && (w.saga->turned || w.saga->backward);
        if (do_late || w.saga->state == SAGA_PAUSED) { /* saga_dispatch_take() refuses */
            answer(at, SAGA_NOT_TAKEN, false);
            forget(at);
            return;
        }
        m->taken = true;
        if (m->direction == SAGA_DO ? !w.saga->backward : true) w.saga->work[m->step].taken = true;
        if (w.wild && odds(2)) return; /* somebody is at it */
    }
    if (!awaited) { /* a ghost arrives, or is lost; what nobody took died with its sender */
        if (m->taken && odds(2)) deliver(m);
        forget(at);
        return;
    }
    uint32_t fate = w.wild ? chance() % 8 : 0;
    if (fate == 1) { /* not now */
        answer(at, SAGA_RETRY, false);
        forget(at);
    } else if (fate == 2) { /* lost on the way; it may arrive yet */
        answer(at, SAGA_UNKNOWN, false);
    } else if (fate == 3) { /* done, and the answer is lost */
        deliver(m);
        answer(at, SAGA_UNKNOWN, false);
        forget(at);
    } else if (fate == 4 && m->direction == SAGA_UNDO) {
        answer(at, SAGA_FAIL, false);
        forget(at);
    } else if (fate == 6 && m->direction == SAGA_DO && !w.saga->work[m->step].trusted) {
        /* one without a guard: true of this attempt, whatever an earlier one did */
        answer(at, SAGA_FAIL, false);
        forget(at);
    } else if (fate == 5) { /* elsewhere: nobody ever completes it */
        answer(at, SAGA_LATER, false);
    } else {
        enum saga_direction direction = m->direction;
        deliver(m);
        bool acted = w.guard[m->step] == ACTED;
        bool ok = direction == SAGA_UNDO || acted;
        answer(at, ok ? SAGA_DONE : SAGA_FAIL, odds(2));
        forget(at);
    }
}

static void send(uint32_t step, enum saga_direction direction)
{
    assert_true(w.messages_len < MESSAGES_MAX);
    saga_sent(w.saga, step);
    w.messages[w.messages_len++] = (struct message){ step, direction, true, false };
}

/* --- people ----------------------------------------------------------------------------------- */

static void resolve(void)
{
    uint32_t step = w.saga->stuck_step;
    bool done = odds(2);
    struct saga_record record = {
        .kind = SAGA_RESOLVED, .at_ns = w.now_ns, .step = step, .done = done, .text = "kim"
    };
    w.reached_stuck = true;
    append(&record);
    if (!done) return;
    w.by_hand[step] = true; /* the person has seen to it */
    w.guard[step] = w.saga->backward ? UNDONE : ACTED;
}

static void verb(enum saga_record_kind kind)
{
    struct saga_record record = { .kind = kind, .at_ns = w.now_ns, .why = SAGA_WHY_CANCEL };
    append(&record);
    w.durable = w.written; /* acknowledged */
    if (kind == SAGA_CANCEL_REQUESTED) w.cancel_acknowledged = true;
}

static void people(void)
{
    enum saga_state state = w.saga->state;
    bool may_cancel = !w.saga->past_pivot && !w.saga->backward;
    if (state == SAGA_STUCK && (!w.wild || odds(3))) resolve();
    if (state == SAGA_PAUSED && (!w.wild || odds(4))) verb(SAGA_RESUMED);
    if (!w.wild) return;
    if ((state == SAGA_RUNNING || state == SAGA_COMPENSATING) && odds(40)) verb(SAGA_PAUSED_RECORD);
    if (state == SAGA_RUNNING && may_cancel && odds(60)) verb(SAGA_CANCEL_REQUESTED);
}

/* --- the engine's part ------------------------------------------------------------------------ */

static void intend(const struct saga_decision *d)
{
    struct saga_intent intents[STEPS_MAX];
    struct saga_record barrier = { .kind = SAGA_BARRIER, .at_ns = w.now_ns, .batch = d->batch };
    struct saga_record record = { .kind = SAGA_INTENT, .at_ns = w.now_ns, .intents = intents };
    for (uint32_t i = 0; i < d->steps_len; i++)
        intents[record.intents_len++] = (struct saga_intent){ .step = d->steps[i], .input = "{}" };
    if (d->barrier) append(&barrier);
    append(&record);
}

static void expire(const struct saga_decision *d)
{
    struct saga_answer a = { .kind = SAGA_UNKNOWN };
    struct saga_record record;
    enum saga_direction direction = w.saga->backward ? SAGA_UNDO : SAGA_DO;
    if (saga_judge(w.saga, d->steps[0], direction, &a, true, w.now_ns, chance(), &record))
        append(&record);
}

static void wait_for_something(const struct saga_decision *d)
{
    people();
    if (w.messages_len > 0 && !odds(4)) {
        happen(chance() % w.messages_len);
        return;
    }
    int64_t step_ns = 1 + (int64_t)(chance() % 50) * 1000000;
    if (d->until_ns != SAGA_NEVER_NS && d->until_ns > w.now_ns && odds(2))
        step_ns = d->until_ns - w.now_ns;
    w.now_ns += step_ns;
}

static bool move(void)
{
    struct saga_decision d;
    saga_next(w.saga, w.now_ns, &d);
    if (w.wild && odds(30)) {
        crash();
        return true;
    }
    switch (d.kind) {
    case SAGA_NEXT_RECORD:
        append(&d.record);
        break;
    case SAGA_NEXT_INTEND:
        intend(&d);
        break;
    case SAGA_NEXT_EXPIRE:
        expire(&d);
        break;
    case SAGA_NEXT_SEND:
    case SAGA_NEXT_UNDO:
        w.durable = w.written;
        for (uint32_t i = 0; i < d.steps_len; i++) {
            bool undo = d.kind == SAGA_NEXT_UNDO;
            if (undo)
                check_send_undo(d.steps[i]);
            else
                check_send_do(d.steps[i]);
            send(d.steps[i], undo ? SAGA_UNDO : SAGA_DO);
        }
        break;
    case SAGA_NEXT_WAIT:
        wait_for_something(&d);
        break;
    default:
        return false;
    }
    return true;
}

/* --- random sagas ----------------------------------------------------------------------------- */

static size_t random_step(char *text, uint32_t i, uint32_t n, bool past)
{
    static const char *const kinds[] = { "Reserve", "Send",  "Reserve", "Acquire",
                                         "Commit",  "Check", "Consume", "Grant" };
    const char *op = kinds[chance() % 8];
    bool last = i + 1 == n, pivot = !past && odds(6);
    size_t at =
        (size_t)sprintf(text, "%s{\"name\":\"s%u\",\"op\":\"%s\",\"action\":\"a\",\"pivot\":%s",
                        i == 0 ? "" : ",", i, op, pivot ? "true" : "false");
    if (past)
        at += (size_t)sprintf(text + at, ",\"on_failure\":\"retry_forward\"");
    else if (odds(8) && !pivot)
        at += (size_t)sprintf(text + at, ",\"undo\":\"none\"");
    else if (!(pivot && odds(2)) && !(last && strcmp(op, "Check") == 0))
        at += (size_t)sprintf(text + at, ",\"compensate\":\"u\"");
    if (i > 0 && odds(3))
        at += (size_t)sprintf(text + at, ",\"input\":{\"$from\":\"s%u\"}", chance() % i);
    at += (size_t)sprintf(text + at, ",\"retry\":{\"attempts\":%u,\"undo_attempts\":%u}}",
                          1 + chance() % 4, 1 + chance() % 4);
    return pivot ? at | (1u << 30) : at;
}

static void accept_random(void)
{
    char text[4096], why[256] = "";
    uint32_t n = 1 + chance() % STEPS_MAX;
    bool past = false;
    size_t at =
        (size_t)sprintf(text,
                        "{\"saga\":\"m\",\"compensate_parallel\":%s,\"budget\":"
                        "{\"drain_ms\":%u,\"undo_ms\":%u},\"steps\":[",
                        odds(3) ? "true" : "false", chance() % 100, 100 + chance() % 100000);
    for (uint32_t i = 0; i < n; i++) {
        size_t len = random_step(text + at, i, n, past);
        past = past || (len & (1u << 30)) != 0;
        at += len & ~(1u << 30);
    }
    (void)strcpy(text + at, "]}");

    struct saga_document *document;
    struct saga_plan *plan;
    urd_err err = saga_document_decode(text, strlen(text), &document, why, sizeof why);
    if (err != URD_OK) print_error("%s\n%s\n", text, why);
    assert_int_equal(err, URD_OK);
    assert_int_equal(saga_plan_make(document, &plan), URD_OK);
    struct saga_record record = {
        .kind = SAGA_ACCEPTED_RECORD, .at_ns = w.now_ns, .document = text, .plan = plan
    };
    if (odds(4)) record.due_ns = w.now_ns + (int64_t)(chance() % 2000) * 1000000;
    append(&record);
    w.durable = 1;
    saga_plan_free(plan);
    saga_document_free(document);
}

static void one_world(uint64_t number)
{
    static const uint8_t id[SAGA_ID_BYTES] = { 1 };
    uint32_t moves = 0;
    memset(&w, 0, sizeof w);
    seed = number * 0x9e3779b97f4a7c15u + 1;
    w.now_ns = 1700000000000000000;
    w.wild = true;
    assert_int_equal(saga_new(id, &w.saga), URD_OK);
    accept_random();
    while (move()) {
        w.wild = ++moves < WILD_MOVES;
        if (moves >= MOVES_MAX) {
            char *text = json_dumps(saga_json(w.saga), JSON_INDENT(1));
            print_error("seed %llu does not end: %s\n", (unsigned long long)number, text);
            free(text);
        }
        assert_true(moves < MOVES_MAX); /* it ends once the faults have stopped */
    }
    check_end();
    while (w.messages_len > 0) { /* whatever is still on its way changes nothing */
        if (w.messages[0].taken) deliver(&w.messages[0]);
        forget(0);
    }
    check_end();
}

static void every_history_obeys_the_invariants(void **state)
{
    (void)state;
    uint32_t committed = 0, compensated = 0, stuck = 0, late = 0, crashes = 0;
    for (uint64_t number = 1; number <= 4000; number++) {
        one_world(number);
        committed += w.saga->state == SAGA_COMMITTED;
        compensated += w.saga->state == SAGA_COMPENSATED;
        stuck += w.reached_stuck;
        late += w.reached_late;
        crashes += w.crashes;

        /* the fold is the state: what a stranger makes of the journal looks the same */
        struct saga *again;
        fold(w.written, &again);
        json_t *a = saga_json(w.saga), *b = saga_json(again);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
        saga_free(again);
        saga_free(w.saga);
        while (w.written > 0)
            free(w.journal[--w.written].bytes);
    }
    print_message(
        "committed %u, compensated %u, stuck on the way %u, late answers %u, crashes %u\n",
        committed, compensated, stuck, late, crashes);
    /* A run that never reached the rare paths has shown nothing. */
    assert_true(committed > 500 && compensated > 500 && stuck > 200 && late > 5 && crashes > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_history_obeys_the_invariants),
    };
    return cmocka_run_group_tests_name("saga/model", tests, NULL, NULL);
}
