/* The versioned map against a plain sorted array, and its old versions against change. */
#include "tests/unit/storage/fixture.h"

#include "storage/tree_internal.h"

#define KEYS 200u

static uint32_t next_random(uint32_t *seed) /* the same numbers in every run */
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void put_number(struct storage_tree *tree, struct storage_tree_edit *edit, uint8_t key,
                       uint32_t number)
{
    struct storage_entry *entry = storage_entry_new(&key, 1, sizeof number);
    memcpy(storage_entry_value(entry), &number, sizeof number);
    assert_int_equal(storage_tree_put(tree, edit, entry), URD_OK);
}

static uint32_t number_of(struct storage_entry *entry)
{
    uint32_t number;
    memcpy(&number, storage_entry_value(entry), sizeof number);
    return number;
}

static void assert_same(const struct storage_tree *tree, const uint32_t model[KEYS])
{
    size_t count = 0;
    struct storage_entry *last = NULL;
    for (unsigned key = 0; key < KEYS; key++) {
        uint8_t k = (uint8_t)key;
        struct storage_entry *entry = storage_tree_find(tree, &k, 1);
        assert_int_equal(entry != NULL, model[key] != 0);
        struct storage_entry *before = storage_tree_before(tree, &k, 1);
        assert_ptr_equal(before, last);
        if (entry == NULL) continue;
        assert_int_equal(number_of(entry), model[key]);
        struct storage_entry *from =
            last == NULL ? storage_tree_at_or_after(tree, "", 0, false)
                         : storage_tree_at_or_after(tree, last->bytes, last->key_len, true);
        assert_ptr_equal(from, entry);
        last = entry;
        count++;
    }
    assert_ptr_equal(storage_tree_last(tree), last);
    assert_int_equal(tree->count, count);
    assert_int_equal(tree->bytes, count * (1 + sizeof(uint32_t)));
}

static void it_is_a_sorted_map(void **state)
{
    (void)state;
    struct storage_tree tree = { 0 };
    struct storage_tree_edit edit = { 0 };
    uint32_t model[KEYS] = { 0 }, seed = 1;
    for (unsigned i = 1; i < 4000; i++) {
        uint8_t key = (uint8_t)(next_random(&seed) % KEYS);
        if (next_random(&seed) % 3 == 0) {
            assert_int_equal(storage_tree_remove(&tree, &edit, &key, 1), URD_OK);
            model[key] = 0;
        } else {
            put_number(&tree, &edit, key, i);
            model[key] = i;
        }
        if (i % 7 == 0) storage_tree_edit_begin(&edit);
        if (i % 50 == 0) assert_same(&tree, model);
    }
    storage_tree_drop(&tree);
    storage_tree_edit_done(&edit);
}

static void old_versions_never_change(void **state)
{
    (void)state;
    enum { VERSIONS = 40 };
    struct storage_tree tree = { 0 }, versions[VERSIONS];
    struct storage_tree_edit edit = { 0 };
    static uint32_t models[VERSIONS][KEYS], model[KEYS];
    uint32_t seed = 2;
    for (unsigned v = 0; v < VERSIONS; v++) {
        storage_tree_edit_begin(&edit);
        for (unsigned i = 0; i < 30; i++) {
            uint8_t key = (uint8_t)(next_random(&seed) % KEYS);
            bool remove = next_random(&seed) % 3 == 0;
            if (remove)
                assert_int_equal(storage_tree_remove(&tree, &edit, &key, 1), URD_OK);
            else
                put_number(&tree, &edit, key, v * 100 + i + 1);
            model[key] = remove ? 0 : v * 100 + i + 1;
        }
        versions[v] = storage_tree_copy(&tree);
        memcpy(models[v], model, sizeof model);
    }
    storage_tree_drop(&tree);
    for (unsigned v = 0; v < VERSIONS; v++)
        assert_same(&versions[v], models[v]);
    for (unsigned v = 0; v < VERSIONS; v++) {
        unsigned odd = (v * 17) % VERSIONS; /* dropped out of order */
        assert_same(&versions[odd], models[odd]);
        storage_tree_drop(&versions[odd]);
    }
    storage_tree_edit_done(&edit);
}

static urd_err stop_at_third(void *arg, struct storage_entry *entry)
{
    (void)entry;
    return ++*(unsigned *)arg == 3 ? URD_E_STATE : URD_OK;
}

static void a_visitor_can_stop(void **state)
{
    (void)state;
    struct storage_tree tree = { 0 };
    struct storage_tree_edit edit = { 0 };
    unsigned visited = 0;
    for (uint8_t key = 0; key < 10; key++)
        put_number(&tree, &edit, key, key);
    assert_int_equal(storage_tree_each(&tree, stop_at_third, &visited), URD_E_STATE);
    assert_int_equal(visited, 3);
    storage_tree_drop(&tree);
    storage_tree_edit_done(&edit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_sorted_map),
        cmocka_unit_test(old_versions_never_change),
        cmocka_unit_test(a_visitor_can_stop),
    };
    return cmocka_run_group_tests_name("storage/tree", tests, NULL, NULL);
}
