/* storage/lmdb_internal.h -- what the files of the LMDB driver share. */
#ifndef STORAGE_LMDB_INTERNAL_H
#define STORAGE_LMDB_INTERNAL_H

#include <lmdb.h>

#include "storage/driver_internal.h"
#include "storage/spin_internal.h"

#define LMDB_IDLE_MAX 64u /* reset read transactions kept for the next readers */
#define LMDB_PATH_MAX 4096u

struct lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    size_t page_bytes;
    uint64_t map_bytes;
    uint64_t reserve_bytes;
    int lock_fd; /* urd.lock; -1: none needed */
    bool read_only;

    /* The writer's: how far the data file's blocks are held on the disk. */
    uint64_t held_bytes;
    bool cannot_hold; /* the file system has no way to */

    struct storage_spin lock;
    MDB_txn *idle[LMDB_IDLE_MAX];
    unsigned idle_count;
};

struct lmdb_view {
    struct lmdb *db;
    MDB_txn *txn;
    bool write;
};

/* LMDB's and the system's codes, as ours. */
urd_err lmdb_err(int code);

/* Begin a read transaction, or renew a kept one; end it, and keep it. */
URD_MUST_USE urd_err lmdb_read_begin(struct lmdb *db, MDB_txn **ret);
void lmdb_read_end(struct lmdb *db, MDB_txn *txn);

/* "@dir/@name" in @ret; false when it is too long. */
bool lmdb_path(char ret[LMDB_PATH_MAX], const char *dir, const char *name);

/* Whether @writes may be committed: URD_OK, or URD_E_STORAGE_FULL when they would eat into the
 * reserve and may not. */
URD_MUST_USE urd_err lmdb_space_admit(struct lmdb *db, const struct storage_tree *writes,
                                      bool use_reserve);

/* Look over the data file in directory @path, which nobody writes now and LMDB has not mapped yet;
 * none, or an empty one, is fine.  Errors: URD_E_CORRUPT, and the sentence names page and fault;
 * URD_E_NOMEM; URD_E_IO; URD_E_SYSTEM. */
URD_MUST_USE urd_err lmdb_check(const char *path, char *errmsg, size_t errmsg_len);

/* As storage_backup(). */
urd_err lmdb_backup(void *impl, const char *path, char *errmsg, size_t errmsg_len);

#endif
