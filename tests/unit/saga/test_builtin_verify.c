/* S14 over a store: each planted breach is told, in a sentence, and nothing else is. */
#include "tests/unit/saga/builtin_rig.h"

#include "saga/builtin_rows.h"

struct told {
    unsigned count;
    char sentence[512];
};

static void tell(void *arg, const char *sentence)
{
    struct told *t = arg;
    t->count++;
    snprintf(t->sentence, sizeof t->sentence, "%s", sentence);
}

static struct told verify(struct world *w)
{
    struct told told = { 0 };
    struct saga_builtin_summary sum;
    struct storage_snapshot *snapshot = snapshot_of(w->store);
    assert_int_equal(saga_builtin_verify(snapshot, tell, &told, &sum), URD_OK);
    storage_snapshot_end(snapshot);
    assert_int_equal(sum.breaches, told.count);
    return told;
}

static void write_row(struct world *w, const struct storage_key *key, const void *bytes, size_t len)
{
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    if (bytes == NULL)
        assert_int_equal(storage_tx_delete(tx, key), URD_OK);
    else
        assert_int_equal(storage_tx_put(tx, key, bytes, len), URD_OK);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

/* Two units held by saga 1, message 1 hidden by it; 2 visible; 3 taken by saga 2; a lease. */
static void furnish_in(struct urd_cx *cx, struct rig *rig)
{
    define(cx, rig, "seats", 10);
    (void)ask(cx, rig, 1, 0, SAGA_KIND_RESERVE, "{\"quantity\":\"seats\",\"amount\":2}");
    (void)ask(cx, rig, 1, 1, SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":1}");
    (void)ask(cx, rig, 3, 0, SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":2}");
    end(cx, rig, 3, true);
    (void)ask(cx, rig, 2, 0, SAGA_KIND_RECEIVE, "{\"queue\":\"q\"}");
    (void)ask(cx, rig, 4, 0, SAGA_KIND_SEND, "{\"queue\":\"q\",\"message\":3}");
    end(cx, rig, 4, true);
    (void)ask(cx, rig, 1, 2, SAGA_KIND_ACQUIRE, "{\"lease\":\"door\",\"ttl_ms\":5000}");
}

static void what_holds_is_not_told(void **state)
{
    struct world *w = *state;
    assert_int_equal(verify(w).count, 0);
    perform(w, furnish_in);
    struct saga_builtin_summary sum = keeps_s14(w->store);
    assert_int_equal(sum.quantities, 1);
    assert_int_equal(sum.queues, 1);
    assert_int_equal(sum.messages, 3);
    assert_int_equal(sum.open, 4);
}

static void put_held(struct world *w, unsigned saga, uint32_t step, enum saga_held_kind kind,
                     uint64_t number, const char *name)
{
    struct saga_held held = { .kind = kind, .number = number };
    uint8_t id[SAGA_ID_BYTES], bytes[SAGA_HELD_ROW_BYTES_MAX];
    struct storage_key key;
    id_of(saga, id);
    snprintf(held.name, sizeof held.name, "%s", name);
    saga_held_key(&key, id, step);
    write_row(w, &key, bytes, saga_held_encode(&held, bytes));
}

static void drop_held(struct world *w, unsigned saga, uint32_t step)
{
    uint8_t id[SAGA_ID_BYTES];
    struct storage_key key;
    id_of(saga, id);
    saga_held_key(&key, id, step);
    write_row(w, &key, NULL, 0);
}

static void what_is_held_is_what_sagas_hold(void **state)
{
    struct world *w = *state;
    perform(w, furnish_in);
    put_held(w, 7, 0, SAGA_HELD_AMOUNT, 3, "seats");
    assert_string_equal(verify(w).sentence, "quantity 'seats' counts 2 as held, and sagas hold 5");
    drop_held(w, 7, 0);
    assert_int_equal(verify(w).count, 0);
    drop_held(w, 1, 0);
    assert_string_equal(verify(w).sentence, "quantity 'seats' counts 2 as held, and sagas hold 0");
    put_held(w, 1, 0, SAGA_HELD_AMOUNT, 2, "seats");
    put_held(w, 7, 0, SAGA_HELD_AMOUNT, 3, "beds");
    struct told told = verify(w);
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(told.sentence, "holds 3 of 'beds', and there is no such quantity"));
}

static void more_than_there_is_is_told(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    uint8_t bytes[SAGA_QUANTITY_ROW_BYTES];
    struct saga_quantity q = { .amount = 10, .held = 2, .consumed = 9 };
    perform(w, furnish_in);
    saga_quantity_key(&key, "seats");
    saga_quantity_encode(&q, bytes);
    write_row(w, &key, bytes, sizeof bytes);
    struct told told = verify(w);
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(told.sentence, "escrow"));
}

static void a_message_is_with_one_at_a_time(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    perform(w, furnish_in);
    saga_queue_position_key(&key, "q", SAGA_QUEUE_READY, 2);
    write_row(w, &key, "", 0); /* saga 2 has it */
    assert_string_equal(verify(w).sentence,
                        "message 2 of queue 'q' is visible and held by 1 sagas");
    write_row(w, &key, NULL, 0);
    put_held(w, 8, 0, SAGA_HELD_TAKEN, 2, "q");
    assert_string_equal(verify(w).sentence,
                        "message 2 of queue 'q' is not visible and held by 2 sagas");
    drop_held(w, 8, 0);
    drop_held(w, 2, 0);
    assert_string_equal(verify(w).sentence,
                        "message 2 of queue 'q' is not visible and held by 0 sagas");
}

static void a_message_that_is_not_there_is_missed(void **state)
{
    struct world *w = *state;
    struct storage_key key;
    perform(w, furnish_in);
    saga_queue_position_key(&key, "q", SAGA_QUEUE_MESSAGE, 2);
    write_row(w, &key, NULL, 0);
    struct told told = verify(w);
    assert_int_equal(told.count, 2); /* the count of the queue too */
    assert_non_null(strstr(told.sentence, "received message 2 of queue 'q', which is not there"));
    put_held(w, 2, 0, SAGA_HELD_AMOUNT, 0, "seats");
    assert_string_equal(verify(w).sentence, "queue 'q' counts 3 messages and has 2");
    saga_queue_position_key(&key, "q", SAGA_QUEUE_READY, 2);
    write_row(w, &key, "", 0);
    assert_int_equal(verify(w).count, 2);
    write_row(w, &key, NULL, 0);
    saga_queue_position_key(&key, "q", SAGA_QUEUE_MESSAGE, 4);
    write_row(w, &key, "4", 1);
    put_held(w, 9, 0, SAGA_HELD_SENT, 4, "q");
    assert_string_equal(verify(w).sentence,
                        "message 4 of queue 'q' lies ahead of the queue's next position 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(what_holds_is_not_told),
        ON_ONE(what_is_held_is_what_sagas_hold, ON_MEMORY),
        ON_ONE(more_than_there_is_is_told, ON_MEMORY),
        ON_ONE(a_message_is_with_one_at_a_time, ON_MEMORY),
        ON_ONE(a_message_that_is_not_there_is_missed, ON_MEMORY),
    };
    return cmocka_run_group_tests_name("saga/builtin_verify", tests, NULL, NULL);
}
