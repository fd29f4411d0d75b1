/* What every built-in kind promises as a participant: taken before it acts, once under its effect
 * key, never after its undo, never for an older owner. */
#include "tests/unit/saga/builtin_rig.h"

#include "storage/guard.h"

#define TWO_SEATS "{\"quantity\":\"seats\",\"amount\":2}"
#define RESERVED  "done {\"quantity\":\"seats\",\"amount\":2}"

/* A do and an undo for each kind that has one, on things that are there. */
struct sample {
    enum saga_kind kind;
    const char *input;
};
static const struct sample samples[] = {
    { SAGA_KIND_RESERVE, TWO_SEATS },
    { SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":7}" },
    { SAGA_KIND_RECEIVE, "{\"queue\":\"mail\"}" },
    { SAGA_KIND_ACQUIRE, "{\"lease\":\"door\",\"ttl_ms\":5000}" },
    { SAGA_KIND_RENEW, "{\"lease\":\"gate\",\"ttl_ms\":5000,\"token\":1}" },
    { SAGA_KIND_RELEASE, "{\"lease\":\"gate\",\"token\":1}" },
    { SAGA_KIND_COMMIT, "null" },
    { SAGA_KIND_ABORT, "{}" },
};
#define SAMPLES (sizeof samples / sizeof samples[0])

static bool undoable(enum saga_kind kind)
{
    return saga_kind_info(kind)->undo != SAGA_UNDO_NONE;
}

static void furnish(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 100);
    (void)ask(cx, rig, 900, 0, SAGA_KIND_ACQUIRE, "{\"lease\":\"gate\",\"ttl_ms\":5000}");
    for (uint32_t i = 0; i < 4; i++)
        (void)ask(cx, rig, 900, 1 + i, SAGA_KIND_SEND, "{\"queue\":\"mail\",\"message\":\"hi\"}");
    end(cx, rig, 900, true);
}

/* Everything in the store but the epochs and guards of effects. */
static uint64_t changes(struct rig *rig)
{
    static const enum storage_table tables[] = { STORAGE_TABLE_QUEUE, STORAGE_TABLE_LEASE,
                                                 STORAGE_TABLE_ESCROW, STORAGE_TABLE_HELD,
                                                 STORAGE_TABLE_META };
    uint64_t sum = 14695981039346656037u; /* FNV-1a */
    struct storage_snapshot *snapshot;
    CHECK(storage_snapshot_begin(rig->w->store, "test", 0, &snapshot) == URD_OK);
    for (unsigned t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        struct storage_key prefix;
        struct storage_cursor *cursor;
        struct storage_item item;
        storage_key_init(&prefix, tables[t]);
        struct storage_range range = { .prefix = &prefix };
        CHECK(storage_snapshot_range(snapshot, &range, &cursor) == URD_OK);
        while (storage_cursor_next(cursor, &item) == URD_OK) {
            for (size_t i = 0; i < item.key_len; i++)
                sum = (sum ^ item.key[i]) * 1099511628211u;
            for (size_t i = 0; i < item.value.len; i++)
                sum = (sum ^ item.value.bytes[i]) * 1099511628211u;
        }
        storage_cursor_close(cursor);
    }
    storage_snapshot_end(snapshot);
    return sum;
}

static void once_in(struct urd_cx *cx, struct rig *rig)
{
    furnish(cx, rig);
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        char first[512];
        uint64_t before = changes(rig);
        snprintf(first, sizeof first, "%s", ask(cx, rig, 1 + i, 0, s->kind, s->input));
        CHECK(strncmp(first, "done ", 5) == 0);
        uint64_t after = changes(rig);
        CHECK(after != before || s->kind == SAGA_KIND_COMMIT || s->kind == SAGA_KIND_ABORT ||
              s->kind == SAGA_KIND_RENEW);
        SAYS(ask(cx, rig, 1 + i, 0, s->kind, s->input), first);
        CHECK(changes(rig) == after);
        keeps_s14(rig->w->store);
    }
}
static void a_retry_gets_the_first_answer_and_changes_nothing(void **state)
{
    perform(*state, once_in);
}

static void undo_first_in(struct urd_cx *cx, struct rig *rig)
{
    furnish(cx, rig);
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        if (!undoable(s->kind)) continue;
        uint64_t before = changes(rig);
        SAYS(undo(cx, rig, 1 + i, 0, s->kind), "done null");
        SAYS(ask(cx, rig, 1 + i, 0, s->kind, s->input), "fail! it was undone before it was done");
        CHECK(changes(rig) == before);
    }
}
static void a_do_that_comes_after_its_undo_is_refused(void **state)
{
    perform(*state, undo_first_in);
}

static void undone_in(struct urd_cx *cx, struct rig *rig)
{
    furnish(cx, rig);
    for (unsigned i = 0; i < SAMPLES; i++) {
        const struct sample *s = &samples[i];
        if (!undoable(s->kind)) continue;
        (void)ask(cx, rig, 1 + i, 0, s->kind, s->input);
        SAYS(undo(cx, rig, 1 + i, 0, s->kind), "done null");
        uint64_t undone = changes(rig);
        SAYS(undo(cx, rig, 1 + i, 0, s->kind), "done null");
        CHECK(strncmp(ask(cx, rig, 1 + i, 0, s->kind, s->input), "done ", 5) == 0); /* it was */
        CHECK(changes(rig) == undone);
        uint8_t id[SAGA_ID_BYTES];
        struct storage_snapshot *snapshot;
        CHECK(storage_snapshot_begin(rig->w->store, "test", 0, &snapshot) == URD_OK);
        struct storage_key key;
        struct storage_value value;
        id_of(1 + i, id);
        storage_key_init(&key, STORAGE_TABLE_HELD);
        storage_key_add_bytes(&key, id, sizeof id);
        storage_key_add_u32(&key, 0);
        CHECK(storage_snapshot_get(snapshot, &key, &value) == URD_E_NOT_FOUND);
        storage_snapshot_end(snapshot);
        keeps_s14(rig->w->store);
    }
}
static void an_undone_step_holds_nothing_and_is_undone_once(void **state)
{
    perform(*state, undone_in);
}

static void never_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_COMMIT), "done null"); /* nothing was committed */
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_COMMIT, "{}"), "fail! it was undone before it was done");
    SAYS(ask(cx, rig, 1, 1, SAGA_KIND_RELEASE, "{\"lease\":\"door\",\"token\":3}"),
         "done {\"released\":false}");
    SAYS(undo(cx, rig, 1, 1, SAGA_KIND_RELEASE), "fail! a built-in Release cannot be undone");
}
static void what_cannot_be_undone_says_so_unless_it_never_was(void **state)
{
    perform(*state, never_in);
}

static void fail_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, TWO_SEATS), "fail! there is no quantity 'seats'");
    define(cx, rig, "seats", 10);
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, TWO_SEATS), "fail! there is no quantity 'seats'");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null");
    SAYS(quantity(rig, "seats"), "0/0 of 10");
}
static void a_fail_is_remembered_too(void **state)
{
    perform(*state, fail_in);
}

static void retry_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 3);
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
    SAYS(ask(cx, rig, 2, 0, SAGA_KIND_RESERVE, TWO_SEATS),
         "retry not enough of 'seats': 1 are free, others hold 2");
    SAYS(undo(cx, rig, 1, 0, SAGA_KIND_RESERVE), "done null");
    SAYS(ask(cx, rig, 2, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
}
static void a_retry_is_not_remembered(void **state)
{
    perform(*state, retry_in);
}

static void owner_in(struct urd_cx *cx, struct rig *rig)
{
    struct asked a;
    define(cx, rig, "seats", 10);
    fill(&a, 1, 0, SAGA_KIND_RESERVE, SAGA_DO, TWO_SEATS);
    a.d.epoch = 7;
    SAYS(said(dispatch(cx, rig, &a.d)), RESERVED);
    fill(&a, 1, 1, SAGA_KIND_RESERVE, SAGA_DO, TWO_SEATS);
    a.d.epoch = 6;
    SAYS(said(dispatch(cx, rig, &a.d)), "unknown a newer owner of this saga was seen");
    SAYS(quantity(rig, "seats"), "2/0 of 10");
    fill(&a, 2, 0, SAGA_KIND_RESERVE, SAGA_DO, TWO_SEATS); /* of another saga it is the owner */
    a.d.epoch = 6;
    SAYS(said(dispatch(cx, rig, &a.d)), RESERVED);
}
static void an_owner_of_an_older_epoch_changes_nothing(void **state)
{
    perform(*state, owner_in);
}

static void take_in(struct urd_cx *cx, struct rig *rig)
{
    furnish(cx, rig);
    take_err = URD_E_REVOKED;
    for (unsigned i = 0; i < SAMPLES; i++) {
        uint64_t before = changes(rig);
        takes = 0;
        SAYS(ask(cx, rig, 1 + i, 0, samples[i].kind, samples[i].input),
             "not-taken capability was revoked");
        CHECK(takes == 1);
        CHECK(changes(rig) == before);
        take_err = URD_E_CANCELLED;
        SAYS(undo(cx, rig, 1 + i, 0, samples[i].kind), "not-taken cancelled");
        take_err = URD_E_REVOKED;
    }
    take_err = URD_OK;
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
}
static void nothing_is_done_that_was_not_taken(void **state)
{
    perform(*state, take_in);
}

static void bad_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, "{\"quantity\":\"seats\",\"amuont\":2}"),
         "fail! input of a built-in Reserve: unknown member 'amuont'");
    SAYS(ask(cx, rig, 1, 1, SAGA_KIND_JOIN, "{}"),
         "fail! input of a built-in Join: there is no built-in form of this kind");
    SAYS(ask(cx, rig, 1, 2, SAGA_KIND_RECEIVE, "{\"signal\":\"go\"}"),
         "fail! input of a built-in Receive: signals are not received from a queue");
}
static void input_that_is_not_understood_is_a_certain_fail(void **state)
{
    perform(*state, bad_in);
}

static void forget_in(struct urd_cx *cx, struct rig *rig)
{
    struct ending e = { .saga = 1, .forget = true };
    define(cx, rig, "seats", 10);
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
    SAYS(ask(cx, rig, 2, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
    end(cx, rig, 1, true);
    CHECK(storage_commit(cx, rig->committer, rig_end, &e) == URD_OK);
    char sagas[4][STORAGE_GUARD_SAGA_BYTES + 1];
    uint32_t count = 0;
    CHECK(storage_guard_sagas(cx, rig->w->store, NULL, sagas, 4, &count) == URD_OK);
    CHECK(count == 1);
    SAYS(ask(cx, rig, 2, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED); /* still remembered */
    SAYS(quantity(rig, "seats"), "2/2 of 10");
}
static void forgetting_a_saga_forgets_its_guards_alone(void **state)
{
    perform(*state, forget_in);
}

static void full_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    SAYS(ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
    storage_memory_fail_at(rig->w->disk, 1, URD_E_STORAGE_FULL, false);
    SAYS(ask(cx, rig, 2, 0, SAGA_KIND_RESERVE, TWO_SEATS), "retry no room left on stable storage");
    SAYS(quantity(rig, "seats"), "2/0 of 10");
    SAYS(ask(cx, rig, 2, 0, SAGA_KIND_RESERVE, TWO_SEATS), RESERVED);
}
static void a_full_store_is_a_retry_and_nothing_was_done(void **state)
{
    perform(*state, full_in);
}

static void io_in(struct urd_cx *cx, struct rig *rig)
{
    struct asked a;
    struct saga_answer answer;
    define(cx, rig, "seats", 10);
    storage_memory_fail_at(rig->w->disk, 1, URD_E_IO, true);
    fill(&a, 2, 0, SAGA_KIND_RESERVE, SAGA_DO, TWO_SEATS);
    CHECK(saga_builtin_dispatch(&rig->builtin, cx, &a.d, &answer) == URD_E_IO);
}
static void a_failed_sync_is_no_answer(void **state)
{
    perform(*state, io_in);
}

static void damage_in(struct urd_cx *cx, struct rig *rig)
{
    SAYS(ask(cx, rig, 3, 0, SAGA_KIND_RESERVE, TWO_SEATS), "fail checksum does not match");
    SAYS(undo(cx, rig, 2, 0, SAGA_KIND_RESERVE), "fail checksum does not match");
    end(cx, rig, 2, true); /* an end is not held up */
}
static void damaged_rows_are_a_fail_that_is_not_certain(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    perform(w, retry_in); /* saga 2 holds two */
    storage_close(w->store);
    storage_key_init(&key, STORAGE_TABLE_ESCROW);
    storage_key_add_text(&key, "seats", 5);
    assert_true(storage_memory_damage(w->disk, &key, 12, 1));
    assert_int_equal(world_try_open(w), URD_OK);
    struct rig rig = { 0 };
    perform_with(w, &rig, damage_in);
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    struct saga_builtin_summary sum;
    assert_int_equal(saga_builtin_verify(snapshot, NULL, NULL, &sum), URD_OK);
    storage_snapshot_end(snapshot);
    assert_int_equal(sum.breaches, 2); /* the row, and the hold on it, which stays */
    assert_int_equal(sum.open, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_retry_gets_the_first_answer_and_changes_nothing),
        ON_BOTH(a_do_that_comes_after_its_undo_is_refused),
        ON_BOTH(an_undone_step_holds_nothing_and_is_undone_once),
        ON_BOTH(what_cannot_be_undone_says_so_unless_it_never_was),
        ON_BOTH(a_fail_is_remembered_too),
        ON_BOTH(a_retry_is_not_remembered),
        ON_BOTH(an_owner_of_an_older_epoch_changes_nothing),
        ON_BOTH(nothing_is_done_that_was_not_taken),
        ON_BOTH(input_that_is_not_understood_is_a_certain_fail),
        ON_BOTH(forgetting_a_saga_forgets_its_guards_alone),
        ON_ONE(a_full_store_is_a_retry_and_nothing_was_done, ON_MEMORY),
        ON_ONE(a_failed_sync_is_no_answer, ON_MEMORY),
        ON_ONE(damaged_rows_are_a_fail_that_is_not_certain, ON_MEMORY),
    };
    return cmocka_run_group_tests_name("saga/builtin", tests, NULL, NULL);
}
