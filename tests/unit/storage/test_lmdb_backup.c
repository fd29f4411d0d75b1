/* Backup: a consistent, compacted, private copy of a live store. */
#include <sys/stat.h>

#include "tests/unit/storage/fixture.h"

static void a_copy_holds_what_was_committed_and_nothing_later(void **state)
{
    struct world *w = *state, copy = { .kind = ON_LMDB };
    char target[72], path[128];
    struct stat st;
    snprintf(target, sizeof target, "%s-copy", w->dir);
    for (unsigned i = 0; i < 200; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        put(w->store, key, "value");
    }
    assert_int_equal(storage_backup(w->store, target, w->errmsg, sizeof w->errmsg), URD_OK);
    put(w->store, "later", "1");
    snprintf(path, sizeof path, "%s/data.mdb", target);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    memcpy(copy.dir, target, strlen(target) + 1);
    assert_int_equal(world_try_open(&copy), URD_OK);
    assert_string_equal(get(copy.store, "k199"), "value");
    assert_string_equal(get(copy.store, "later"), "-");
    put(copy.store, "goes", "on");
    storage_close(copy.store);
    assert_int_equal(world_try_open(&copy), URD_OK);
    assert_string_equal(get(copy.store, "goes"), "on");
    storage_close(copy.store);

    assert_int_equal(storage_backup(w->store, target, w->errmsg, sizeof w->errmsg), URD_E_EXISTS);
    remove_dir(target);
}

static void a_copy_that_cannot_be_made_says_so_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    assert_int_equal(storage_backup(w->store, "/nowhere/at/all", w->errmsg, sizeof w->errmsg),
                     URD_E_SYSTEM);
    assert_non_null(strstr(w->errmsg, "/nowhere/at/all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ONE(a_copy_holds_what_was_committed_and_nothing_later, ON_LMDB),
        ON_ONE(a_copy_that_cannot_be_made_says_so_and_leaves_nothing, ON_LMDB),
    };
    return cmocka_run_group_tests_name("storage/lmdb_backup", tests, NULL, NULL);
}
