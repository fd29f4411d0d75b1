/* tests/unit/storage/fixture.h -- one store, on either driver: the same promises are asked of both.
 *
 *     static void a_promise(void **state) { struct world *w = *state; ... w->store ... }
 *     const struct CMUnitTest tests[] = { ON_BOTH(a_promise) }; */
#ifndef TESTS_UNIT_STORAGE_FIXTURE_H
#define TESTS_UNIT_STORAGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storage/journal.h"
#include "storage/kv.h"
#include "storage/kv_lmdb.h"
#include "storage/kv_memory.h"
#include "storage/lease.h"

enum world_kind { ON_MEMORY = 1, ON_LMDB };

struct world {
    enum world_kind kind;
    struct storage_memory *disk;
    char dir[64];
    struct storage *store;
    char errmsg[256];
    unsigned reports;
    char report[256];
};

#define MAP_BYTES (1ull << 30)

static void world_report(void *arg, const char *line)
{
    struct world *w = arg;
    w->reports++;
    snprintf(w->report, sizeof w->report, "%s", line);
}

static urd_err world_try_open(struct world *w)
{
    struct storage_lmdb_options options = { .map_bytes = MAP_BYTES,
                                            .report = world_report,
                                            .report_arg = w };
    if (w->kind == ON_MEMORY)
        return storage_memory_open(w->disk, world_report, w, &w->store, w->errmsg,
                                   sizeof w->errmsg);
    return storage_lmdb_open(w->dir, &options, &w->store, w->errmsg, sizeof w->errmsg);
}

__attribute__((unused)) static void world_reopen(struct world *w)
{
    storage_close(w->store);
    w->store = NULL;
    assert_int_equal(world_try_open(w), URD_OK);
}

__attribute__((unused)) static void make_dir(char ret[64])
{
    strcpy(ret, "/tmp/urd-storage-XXXXXX");
    assert_non_null(mkdtemp(ret));
}

/* Where a sync costs nothing, for tests of many commits that are not about durability. */
__attribute__((unused)) static void make_fast_dir(char ret[64])
{
    strcpy(ret, "/dev/shm/urd-storage-XXXXXX");
    if (mkdtemp(ret) == NULL) make_dir(ret);
}

static void remove_dir(const char *dir)
{
    static const char *names[] = { "data.mdb", "lock.mdb", "urd.lock", "data.mdb.part" };
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

__attribute__((unused)) static int world_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->kind = (enum world_kind)(uintptr_t)*state;
    if (w->kind == ON_MEMORY)
        assert_int_equal(storage_memory_new(0, 0, &w->disk), URD_OK);
    else
        make_dir(w->dir);
    assert_int_equal(world_try_open(w), URD_OK);
    *state = w;
    return 0;
}

__attribute__((unused)) static int world_down(void **state)
{
    struct world *w = *state;
    storage_close(w->store);
    storage_memory_free(w->disk);
    if (w->kind == ON_LMDB) remove_dir(w->dir);
    free(w);
    return 0;
}

#define ON_ONE(test, which)                                                                        \
    {                                                                                              \
        .name = #test " [" #which "]", .test_func = (test), .setup_func = world_up,                \
        .teardown_func = world_down, .initial_state = (void *)(uintptr_t)(which)                   \
    }
#define ON_BOTH(test) ON_ONE(test, ON_MEMORY), ON_ONE(test, ON_LMDB)

/* --- short ways to say things ---------------------------------------------------------------- */

__attribute__((unused)) static struct storage_key text_key(const char *text)
{
    struct storage_key key;
    storage_key_init(&key, STORAGE_TABLE_SAGA);
    storage_key_add_bytes(&key, text, strlen(text));
    return key;
}

__attribute__((unused)) static void tx_put(struct storage_tx *tx, const char *key,
                                           const char *value)
{
    struct storage_key k = text_key(key);
    assert_int_equal(storage_tx_put(tx, &k, value, strlen(value)), URD_OK);
}

__attribute__((unused)) static void tx_delete(struct storage_tx *tx, const char *key)
{
    struct storage_key k = text_key(key);
    assert_int_equal(storage_tx_delete(tx, &k), URD_OK);
}

/* Put and commit at once. */
__attribute__((unused)) static void put(struct storage *store, const char *key, const char *value)
{
    struct storage_tx *tx;
    assert_int_equal(storage_tx_begin(store, &tx), URD_OK);
    tx_put(tx, key, value);
    assert_int_equal(storage_tx_commit(tx, false), URD_OK);
}

__attribute__((unused)) static struct storage_snapshot *snapshot_of(struct storage *store)
{
    struct storage_snapshot *snapshot;
    assert_int_equal(storage_snapshot_begin(store, "test", 0, &snapshot), URD_OK);
    return snapshot;
}

/* The value's text, or "-" when it is not there; static. */
__attribute__((unused)) static const char *shown(urd_err err, struct storage_value value)
{
    static char text[256];
    if (err == URD_E_NOT_FOUND) return "-";
    assert_int_equal(err, URD_OK);
    assert_true(value.len < sizeof text);
    memcpy(text, value.bytes, value.len);
    text[value.len] = 0;
    return text;
}

__attribute__((unused)) static const char *get(struct storage *store, const char *key)
{
    struct storage_snapshot *snapshot = snapshot_of(store);
    struct storage_key k = text_key(key);
    struct storage_value value = { 0 };
    urd_err err = storage_snapshot_get(snapshot, &k, &value);
    const char *text = shown(err, value);
    storage_snapshot_end(snapshot);
    return text;
}

__attribute__((unused)) static const char *tx_get(struct storage_tx *tx, const char *key)
{
    struct storage_key k = text_key(key);
    struct storage_value value = { 0 };
    urd_err err = storage_tx_get(tx, &k, &value);
    return shown(err, value);
}

/* Walk @cursor to its end as "key=value key=value", the table byte left out; closes it; static. */
__attribute__((unused)) static const char *listed(struct storage_cursor *cursor)
{
    static char text[4096];
    struct storage_item item;
    size_t len = 0;
    urd_err err;
    while ((err = storage_cursor_next(cursor, &item)) == URD_OK)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%.*s=%.*s", len ? " " : "",
                                (int)item.key_len - 1, item.key + 1, (int)item.value.len,
                                item.value.bytes);
    assert_int_equal(err, URD_E_NOT_FOUND);
    assert_int_equal(storage_cursor_next(cursor, &item), URD_E_NOT_FOUND); /* and stays there */
    storage_cursor_close(cursor);
    text[len] = 0;
    return text;
}

#endif
