/* Ranges: in order, within bounds, both ways; in a transaction over what it has written too. */
#include "tests/unit/storage/fixture.h"

static const char *range_text(struct storage *store, const struct storage_range *range)
{
    struct storage_snapshot *snapshot = snapshot_of(store);
    struct storage_cursor *cursor;
    assert_int_equal(storage_snapshot_range(snapshot, range, &cursor), URD_OK);
    const char *text = listed(cursor);
    storage_snapshot_end(snapshot);
    return text;
}

static void put_letters(struct storage *store)
{
    put(store, "b", "2");
    put(store, "a", "1");
    put(store, "ab", "12");
    put(store, "c", "3");
    put(store, "d", "4");
}

static void a_table_is_walked_in_key_order_and_back(void **state)
{
    struct world *w = *state;
    struct storage_key all = text_key("");
    put_letters(w->store);
    struct storage_range range = { .prefix = &all };
    assert_string_equal(range_text(w->store, &range), "a=1 ab=12 b=2 c=3 d=4");
    range.reverse = true;
    assert_string_equal(range_text(w->store, &range), "d=4 c=3 b=2 ab=12 a=1");
}

static void bounds_hold(void **state)
{
    struct world *w = *state;
    struct storage_key all = text_key(""), a = text_key("a"), b = text_key("b"), d = text_key("d"),
                       bb = text_key("bb");
    put_letters(w->store);
    struct storage_range range = { .prefix = &a };
    assert_string_equal(range_text(w->store, &range), "a=1 ab=12");
    range = (struct storage_range){ .prefix = &all, .from = &b, .to = &d };
    assert_string_equal(range_text(w->store, &range), "b=2 c=3");
    range.after = true;
    assert_string_equal(range_text(w->store, &range), "c=3");
    range.reverse = true;
    assert_string_equal(range_text(w->store, &range), "c=3");
    range = (struct storage_range){ .prefix = &all, .from = &bb }; /* a bound that is no key */
    assert_string_equal(range_text(w->store, &range), "c=3 d=4");
    range = (struct storage_range){ .prefix = &all, .to = &bb, .reverse = true };
    assert_string_equal(range_text(w->store, &range), "b=2 ab=12 a=1");
    range = (struct storage_range){ .prefix = &all, .from = &d, .to = &b };
    assert_string_equal(range_text(w->store, &range), "");
    range =
        (struct storage_range){ .prefix = &b, .from = &a, .to = &d }; /* the prefix is tighter */
    assert_string_equal(range_text(w->store, &range), "b=2");
}

static void a_prefix_of_all_ones_ends(void **state)
{
    struct world *w = *state;
    struct storage_key prefix = text_key("\xff\xff");
    put(w->store, "\xff\xff", "1");
    put(w->store, "\xff\xff\xff", "2");
    put(w->store, "\xff", "0");
    struct storage_range range = { .prefix = &prefix };
    assert_string_equal(range_text(w->store, &range), "\xff\xff=1 \xff\xff\xff=2");
    range.reverse = true;
    assert_string_equal(range_text(w->store, &range), "\xff\xff\xff=2 \xff\xff=1");
}

static void other_tables_are_not_seen(void **state)
{
    struct world *w = *state;
    struct storage_key all = text_key("");
    struct storage_range range = { .prefix = &all };
    assert_string_equal(range_text(w->store, &range), ""); /* though the store has its meta table */
    range.reverse = true;
    assert_string_equal(range_text(w->store, &range), "");
}

static void a_transaction_walks_over_its_own_writes(void **state)
{
    struct world *w = *state;
    struct storage_key all = text_key(""), ab = text_key("ab"), cc = text_key("cc");
    struct storage_cursor *cursor;
    struct storage_tx *tx;
    put_letters(w->store);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    tx_delete(tx, "a");
    tx_delete(tx, "d");
    tx_put(tx, "b", "two");
    tx_put(tx, "bb", "new");
    tx_put(tx, "e", "new");
    tx_put(tx, "f", "gone");
    tx_delete(tx, "f");

    struct storage_range range = { .prefix = &all };
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_string_equal(listed(cursor), "ab=12 b=two bb=new c=3 e=new");
    range.reverse = true;
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_string_equal(listed(cursor), "e=new c=3 bb=new b=two ab=12");
    range = (struct storage_range){ .prefix = &all, .from = &ab, .to = &cc, .after = true };
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_string_equal(listed(cursor), "b=two bb=new c=3");
    range.reverse = true;
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_string_equal(listed(cursor), "c=3 bb=new b=two");
    storage_tx_abort(tx);
    assert_string_equal(get(w->store, "b"), "2");
}

/* Deleting and putting under the cursor, as an engine that works off a queue does. */
static void writes_under_a_cursor_are_seen_ahead_of_it(void **state)
{
    struct world *w = *state;
    struct storage_key all = text_key("");
    struct storage_range range = { .prefix = &all };
    struct storage_cursor *cursor;
    struct storage_item item;
    struct storage_tx *tx;
    put_letters(w->store);
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_int_equal(storage_cursor_next(cursor, &item), URD_OK); /* a */
    tx_delete(tx, "a");
    tx_delete(tx, "ab");
    tx_put(tx, "bb", "new");
    tx_put(tx, "0", "behind");
    assert_int_equal(storage_cursor_next(cursor, &item), URD_OK);
    assert_memory_equal(item.key + 1, "b", 1);
    tx_put(tx, "b", "changed while it stands there");
    assert_memory_equal(item.value.bytes, "2", 1);
    assert_string_equal(listed(cursor), "bb=new c=3 d=4");
    storage_tx_abort(tx);
}

static void a_random_mix_walks_like_a_sorted_list(void **state)
{
    struct world *w = *state;
    struct storage_key all = text_key("");
    struct storage_range range = { .prefix = &all };
    struct storage_cursor *cursor;
    struct storage_tx *tx;
    char expected[4096] = "", backward[4096] = "", key[8];
    static char model[64][8];
    uint32_t seed = 3;
    assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
    for (unsigned i = 0; i < 400; i++) {
        if (i == 200) {
            assert_int_equal(storage_tx_commit(tx, false), URD_OK);
            assert_int_equal(storage_tx_begin(w->store, &tx), URD_OK);
        }
        seed = seed * 1664525u + 1013904223u;
        unsigned at = seed >> 8 & 63;
        snprintf(key, sizeof key, "%02u", at);
        if (seed >> 20 & 1) {
            snprintf(model[at], sizeof model[at], "%u", i);
            tx_put(tx, key, model[at]);
        } else {
            model[at][0] = 0;
            tx_delete(tx, key);
        }
    }
    for (unsigned i = 0; i < 64; i++)
        if (model[i][0])
            sprintf(expected + strlen(expected), "%s%02u=%s", expected[0] ? " " : "", i, model[i]);
    for (unsigned i = 64; i-- > 0;)
        if (model[i][0])
            sprintf(backward + strlen(backward), "%s%02u=%s", backward[0] ? " " : "", i, model[i]);
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_string_equal(listed(cursor), expected);
    range.reverse = true;
    assert_int_equal(storage_tx_range(tx, &range, &cursor), URD_OK);
    assert_string_equal(listed(cursor), backward);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
    assert_string_equal(range_text(w->store, &range), backward);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_table_is_walked_in_key_order_and_back),
        ON_BOTH(bounds_hold),
        ON_BOTH(a_prefix_of_all_ones_ends),
        ON_BOTH(other_tables_are_not_seen),
        ON_BOTH(a_transaction_walks_over_its_own_writes),
        ON_BOTH(writes_under_a_cursor_are_seen_ahead_of_it),
        ON_BOTH(a_random_mix_walks_like_a_sorted_list),
    };
    return cmocka_run_group_tests_name("storage/cursor", tests, NULL, NULL);
}
