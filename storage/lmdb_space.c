/* The reserve: what an ordinary commit must leave, so that deletes and endings (which free space,
 * but copy pages first) still fit when the store is full.
 *
 *     free = pages between the file's last and the end of map and disk + pages on LMDB's free list
 *     ordinary: free >= what the batch may take + the reserve          endings: LMDB decides
 *
 * The disk's side of it is held by allocating blocks behind the end of the data file, so that
 * another program that fills the disk cannot take them. */
#include <errno.h>
#include <fcntl.h>

#include "storage/lmdb_internal.h"

#define FREE_LIST_DBI   0  /* LMDB's own tree of free pages */
#define DEPTH_PAGES     8u /* of a path from root to leaf; eight levels are far beyond any store */
#define OVERHEAD_PAGES  8u /* the free list's own pages */
#define HOLD_STEP_BYTES (4u << 20)

/* Pages that committing @writes may take, on the high side: a leaf for each key and its split, what
 * values take by their size, one path. */
static uint64_t pages_needed(const struct lmdb *db, const struct storage_tree *writes)
{
    return 2 * writes->count + 2 * (writes->bytes / db->page_bytes) + DEPTH_PAGES + OVERHEAD_PAGES;
}

/* Pages on the free list as committed; LMDB shows it to read transactions only.  Some may still be
 * seen by readers; the estimate above covers them. */
static urd_err count_free(struct lmdb *db, uint64_t *ret_pages)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    uint64_t pages = 0;
    urd_err err = lmdb_read_begin(db, &txn);
    if (err != URD_OK) return err;
    int code = mdb_cursor_open(txn, FREE_LIST_DBI, &cursor);
    if (code == MDB_SUCCESS) {
        while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == MDB_SUCCESS)
            pages += *(const size_t *)value.mv_data; /* an entry begins with how many it names */
        mdb_cursor_close(cursor);
    }
    lmdb_read_end(db, txn);
    if (code != MDB_NOTFOUND) return lmdb_err(code);
    *ret_pages = pages;
    return URD_OK;
}

/* Hold blocks up to @want_bytes of the data file, if they can be had. */
static void hold(struct lmdb *db, uint64_t want_bytes)
{
    int fd;
    if (want_bytes > db->map_bytes) want_bytes = db->map_bytes;
    if (db->cannot_hold || db->held_bytes >= want_bytes) return;
    want_bytes = (want_bytes + HOLD_STEP_BYTES - 1) / HOLD_STEP_BYTES * HOLD_STEP_BYTES;
    if (want_bytes > db->map_bytes) want_bytes = db->map_bytes;
    if (mdb_env_get_fd(db->env, &fd) != MDB_SUCCESS) return;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)want_bytes) == 0)
        db->held_bytes = want_bytes;
    else if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
        db->cannot_hold = true;
}

urd_err lmdb_space_admit(struct lmdb *db, const struct storage_tree *writes, bool use_reserve)
{
    MDB_envinfo info;
    int code = mdb_env_info(db->env, &info);
    if (code != MDB_SUCCESS) return lmdb_err(code);
    uint64_t file_pages = info.me_last_pgno + 1;
    uint64_t want_pages = pages_needed(db, writes) + db->reserve_bytes / db->page_bytes;
    hold(db, (file_pages + want_pages) * db->page_bytes);
    if (use_reserve) return URD_OK;

    uint64_t end_pages = (db->cannot_hold ? db->map_bytes : db->held_bytes) / db->page_bytes;
    uint64_t left = end_pages > file_pages ? end_pages - file_pages : 0;
    if (left >= want_pages) return URD_OK;
    uint64_t reusable = 0;
    urd_err err = count_free(db, &reusable);
    if (err != URD_OK) return err;
    return left + reusable >= want_pages ? URD_OK : URD_E_STORAGE_FULL;
}
