/* tests/unit/storage/damage.h -- flip a bit of what is stored under a key, behind the store's back.
 */
#ifndef TESTS_UNIT_STORAGE_DAMAGE_H
#define TESTS_UNIT_STORAGE_DAMAGE_H

#include <lmdb.h>

#include "tests/unit/storage/fixture.h"

static void damage_lmdb(const char *dir, const struct storage_key *key, size_t offset, uint8_t mask)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = { .mv_size = key->len, .mv_data = (void *)(uintptr_t)key->bytes }, v;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_mapsize(env, MAP_BYTES), 0);
    assert_int_equal(mdb_env_open(env, dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_get(txn, dbi, &k, &v), 0);
    assert_true(offset < v.mv_size);
    uint8_t *copy = malloc(v.mv_size);
    memcpy(copy, v.mv_data, v.mv_size);
    copy[offset] ^= mask;
    v.mv_data = copy;
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    free(copy);
}

/* Closes the store, damages, opens it again. */
static void world_damage(struct world *w, const struct storage_key *key, size_t offset,
                         uint8_t mask)
{
    storage_close(w->store);
    w->store = NULL;
    if (w->kind == ON_MEMORY)
        assert_true(storage_memory_damage(w->disk, key, offset, mask));
    else
        damage_lmdb(w->dir, key, offset, mask);
    assert_int_equal(world_try_open(w), URD_OK);
}

#endif
