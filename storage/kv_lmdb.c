/* The LMDB driver.  What was learnt of LMDB 0.9 and is relied on here:
 *
 *   - a write transaction belongs to the thread that began it; ours lives in one call of the
 * committer;
 *   - read transactions may move between threads under MDB_NOTLS; reset ones are kept and renewed,
 * which costs no lock;
 *   - opening an environment twice in a process silently drops its locks: urd.lock (flock, which
 * holds between two opens of one process too) comes first;
 *   - full sync only: mdb_txn_commit() returning is the durability we acknowledge;
 *   - a commit that fails before its meta page leaves the last one in force, so running out of
 * space is harmless; any other failure of a commit means that the disk is not to be believed;
 *   - MDB_APPEND fills pages to the brim: journal keys, the greatest of all, are put with it.
 *
 * Pages have no checksum in LMDB, so the file is looked over before it is mapped (lmdb_check.c).
 * The reserve (lmdb_space.c) is what ordinary commits must leave free in the map and on the disk.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/kv_lmdb.h"
#include "storage/lmdb_internal.h"

#define FILE_MODE 0600
#define DIR_MODE  0700

urd_err lmdb_err(int code)
{
    switch (code) {
    case MDB_SUCCESS:
        return URD_OK;
    case MDB_NOTFOUND:
        return URD_E_NOT_FOUND;
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return URD_E_STORAGE_FULL;
    case MDB_READERS_FULL:
        return URD_E_FULL;
    case MDB_TXN_FULL:
        return URD_E_TOO_BIG;
    case ENOMEM:
        return URD_E_NOMEM;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return URD_E_CORRUPT;
    case MDB_VERSION_MISMATCH:
        return URD_E_VERSION;
    case ENOENT:
        return URD_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
        return URD_E_SYSTEM;
    default:
        return URD_E_IO;
    }
}

/* --- views ----------------------------------------------------------------------------------- */

static MDB_txn *take_idle(struct lmdb *db)
{
    storage_spin_lock(&db->lock);
    MDB_txn *txn = db->idle_count > 0 ? db->idle[--db->idle_count] : NULL;
    storage_spin_unlock(&db->lock);
    return txn;
}

urd_err lmdb_read_begin(struct lmdb *db, MDB_txn **ret)
{
    MDB_txn *txn = take_idle(db);
    if (txn == NULL) return lmdb_err(mdb_txn_begin(db->env, NULL, MDB_RDONLY, ret));
    int code = mdb_txn_renew(txn);
    if (code != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return lmdb_err(code);
    }
    *ret = txn;
    return URD_OK;
}

void lmdb_read_end(struct lmdb *db, MDB_txn *txn)
{
    mdb_txn_reset(txn);
    storage_spin_lock(&db->lock);
    bool room = db->idle_count < LMDB_IDLE_MAX;
    if (room) db->idle[db->idle_count++] = txn;
    storage_spin_unlock(&db->lock);
    if (!room) mdb_txn_abort(txn);
}

static urd_err view_open(void *impl, bool write, void **ret_view)
{
    struct lmdb *db = impl;
    struct lmdb_view *view = malloc(sizeof *view);
    if (view == NULL) return URD_E_NOMEM;
    *view = (struct lmdb_view){ .db = db, .write = write };
    urd_err err = write ? lmdb_err(mdb_txn_begin(db->env, NULL, 0, &view->txn))
                        : lmdb_read_begin(db, &view->txn);
    if (err != URD_OK) {
        free(view);
        return err;
    }
    *ret_view = view;
    return URD_OK;
}

static void view_close(void *impl, void *opaque)
{
    struct lmdb *db = impl;
    struct lmdb_view *view = opaque;
    if (view->write)
        mdb_txn_abort(view->txn);
    else
        lmdb_read_end(db, view->txn);
    free(view);
}

/* Reading committed pages fails only when they are not what was written. */
static urd_err read_err(int code)
{
    urd_err err = lmdb_err(code);
    return err == URD_E_NOMEM || err == URD_E_CORRUPT || err == URD_E_NOT_FOUND ? err : URD_E_IO;
}

static urd_err view_get(void *opaque, const void *key, size_t key_len, struct storage_value *ret)
{
    const struct lmdb_view *view = opaque;
    MDB_val k = { .mv_size = key_len, .mv_data = (void *)(uintptr_t)key }, v;
    int code = mdb_get(view->txn, view->db->dbi, &k, &v);
    if (code == MDB_NOTFOUND) return URD_E_NOT_FOUND;
    if (code != MDB_SUCCESS) return read_err(code);
    *ret = (struct storage_value){ .bytes = v.mv_data, .len = v.mv_size };
    return URD_OK;
}

static urd_err cursor_open(void *opaque, void **ret_cursor)
{
    const struct lmdb_view *view = opaque;
    MDB_cursor *cursor;
    int code = mdb_cursor_open(view->txn, view->db->dbi, &cursor);
    if (code != MDB_SUCCESS) return code == ENOMEM ? URD_E_NOMEM : URD_E_IO;
    *ret_cursor = cursor;
    return URD_OK;
}

static void cursor_close(void *cursor)
{
    mdb_cursor_close(cursor);
}

static urd_err cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_cursor_op op,
                          struct storage_raw *ret)
{
    MDB_val value;
    int code = mdb_cursor_get(cursor, key, &value, op);
    if (code == MDB_NOTFOUND) return URD_E_NOT_FOUND;
    if (code != MDB_SUCCESS) return read_err(code);
    *ret = (struct storage_raw){ .key = key->mv_data,
                                 .key_len = key->mv_size,
                                 .value = { .bytes = value.mv_data, .len = value.mv_size } };
    return URD_OK;
}

static urd_err cursor_seek(void *cursor, const void *key, size_t key_len, bool before,
                           struct storage_raw *ret)
{
    MDB_val k = { .mv_size = key_len, .mv_data = (void *)(uintptr_t)key };
    if (key_len == 0) /* LMDB knows no empty key */
        return before ? URD_E_NOT_FOUND : cursor_get(cursor, &k, MDB_FIRST, ret);
    struct storage_raw found;
    urd_err err = cursor_get(cursor, &k, MDB_SET_RANGE, &found);
    if (!before) {
        if (err == URD_OK) *ret = found;
        return err;
    }
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    return cursor_get(cursor, &k, err == URD_OK ? MDB_PREV : MDB_LAST, ret);
}

static urd_err cursor_step(void *cursor, bool back, struct storage_raw *ret)
{
    MDB_val key;
    return cursor_get(cursor, &key, back ? MDB_PREV : MDB_NEXT, ret);
}

/* --- commit ---------------------------------------------------------------------------------- */

static int put(const struct lmdb_view *view, MDB_val *key, MDB_val *value, bool append)
{
    if (append) {
        int code = mdb_put(view->txn, view->db->dbi, key, value, MDB_APPEND);
        if (code != MDB_KEYEXIST) return code;
    }
    return mdb_put(view->txn, view->db->dbi, key, value, 0);
}

static urd_err apply_one(void *arg, struct storage_entry *entry)
{
    const struct lmdb_view *view = arg;
    MDB_val key = { .mv_size = entry->key_len, .mv_data = entry->bytes };
    MDB_val value = { .mv_size = entry->value_len, .mv_data = storage_entry_value(entry) };
    int code;
    if (entry->deleted) {
        code = mdb_del(view->txn, view->db->dbi, &key, NULL);
        if (code == MDB_NOTFOUND) code = MDB_SUCCESS;
    } else {
        code = put(view, &key, &value, entry->bytes[0] == STORAGE_TABLE_JOURNAL);
    }
    return lmdb_err(code);
}

static urd_err commit(void *impl, void *opaque, const struct storage_tree *writes, bool use_reserve)
{
    struct lmdb_view *view = opaque;
    urd_err err = lmdb_space_admit(impl, writes, use_reserve);
    if (err == URD_OK) err = storage_tree_each(writes, apply_one, view);
    if (err == URD_OK)
        err = lmdb_err(mdb_txn_commit(view->txn)); /* frees the transaction, whatever it answers */
    else
        mdb_txn_abort(view->txn);
    free(view);
    return err;
}

/* --- the rest of the table ------------------------------------------------------------------- */

static void info(void *impl, struct storage_info *ret)
{
    struct lmdb *db = impl;
    MDB_envinfo env;
    if (mdb_env_info(db->env, &env) != MDB_SUCCESS) return;
    ret->capacity_bytes = env.me_mapsize;
    ret->used_bytes = (env.me_last_pgno + 1) * db->page_bytes;
}

static void readers_check(void *impl)
{
    struct lmdb *db = impl;
    if (!db->read_only) (void)mdb_reader_check(db->env, NULL);
}

static void close_env(struct lmdb *db)
{
    while (db->idle_count > 0)
        mdb_txn_abort(db->idle[--db->idle_count]);
    mdb_env_close(db->env);
}

static void close_store(void *impl)
{
    struct lmdb *db = impl;
    close_env(db);
    if (db->lock_fd >= 0) close(db->lock_fd);
    free(db);
}

static const struct storage_driver driver = {
    .name = "lmdb",
    .view_open = view_open,
    .view_close = view_close,
    .view_get = view_get,
    .cursor_open = cursor_open,
    .cursor_close = cursor_close,
    .cursor_seek = cursor_seek,
    .cursor_step = cursor_step,
    .commit = commit,
    .info = info,
    .readers_check = readers_check,
    .backup = lmdb_backup,
    .close = close_store,
};

/* --- opening --------------------------------------------------------------------------------- */

struct opening {
    const char *path;
    struct storage_lmdb_options options;
    char *errmsg;
    size_t errmsg_len;
};

static urd_err say(const struct opening *o, const char *what, int code, urd_err err)
{
    snprintf(o->errmsg, o->errmsg_len, "store %s: %s: %s", o->path, what, mdb_strerror(code));
    return err;
}

static urd_err check_options(const struct opening *o, struct storage_lmdb_options *options)
{
    if (options->map_bytes == 0) options->map_bytes = STORAGE_LMDB_MAP_BYTES_DEFAULT;
    if (options->reserve_bytes == 0)
        options->reserve_bytes = options->map_bytes / 4 < STORAGE_LMDB_RESERVE_BYTES_DEFAULT
                                     ? options->map_bytes / 4
                                     : STORAGE_LMDB_RESERVE_BYTES_DEFAULT;
    if (options->map_bytes >= STORAGE_LMDB_MAP_BYTES_MIN &&
        options->map_bytes <= STORAGE_LMDB_MAP_BYTES_MAX &&
        options->reserve_bytes <= options->map_bytes / 2)
        return URD_OK;
    snprintf(o->errmsg, o->errmsg_len,
             "store %s: the map must be 1 MiB to 16 TiB and the reserve at most half of it",
             o->path);
    return URD_E_CONFIG;
}

static urd_err sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return URD_E_SYSTEM;
    int code = fsync(fd);
    close(fd);
    return code == 0 ? URD_OK : URD_E_IO;
}

static bool has_data(const char *path)
{
    char name[LMDB_PATH_MAX];
    struct stat st;
    return lmdb_path(name, path, "data.mdb") && stat(name, &st) == 0;
}

static urd_err make_dir(const struct opening *o)
{
    char parent[LMDB_PATH_MAX];
    if (has_data(o->path)) return URD_OK;
    if (o->options.must_exist || o->options.read_only)
        return say(o, "no store there", ENOENT, URD_E_NOT_FOUND);
    if (mkdir(o->path, DIR_MODE) == 0) {
        if (!lmdb_path(parent, o->path, "..")) return say(o, "path", ENAMETOOLONG, URD_E_SYSTEM);
        return sync_dir(parent);
    }
    return errno == EEXIST ? URD_OK : say(o, "making the directory", errno, URD_E_SYSTEM);
}

/* Take urd.lock: exclusively to write, shared to read only. */
static urd_err lock_dir(const struct opening *o, int *ret_fd)
{
    char name[LMDB_PATH_MAX];
    if (!lmdb_path(name, o->path, "urd.lock")) return say(o, "path", ENAMETOOLONG, URD_E_SYSTEM);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0 && o->options.read_only && (errno == EROFS || errno == EACCES)) {
        *ret_fd = -1; /* where nobody can write there is nothing to lock */
        return URD_OK;
    }
    if (fd < 0) return say(o, "urd.lock", errno, URD_E_SYSTEM);
    if (flock(fd, (o->options.read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        int code = errno;
        close(fd);
        if (code != EWOULDBLOCK) return say(o, "urd.lock", code, URD_E_SYSTEM);
        snprintf(o->errmsg, o->errmsg_len,
                 "store %s is open already, here or in another process (it holds urd.lock)",
                 o->path);
        return URD_E_BUSY;
    }
    *ret_fd = fd;
    return URD_OK;
}

static urd_err open_dbi(struct lmdb *db)
{
    MDB_txn *txn;
    MDB_stat stat;
    int code = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
    if (code != MDB_SUCCESS) return lmdb_err(code);
    code = mdb_dbi_open(txn, NULL, 0, &db->dbi); /* the one unnamed tree; nothing is written */
    if (code == MDB_SUCCESS) code = mdb_stat(txn, db->dbi, &stat);
    if (code == MDB_SUCCESS) db->page_bytes = stat.ms_psize;
    if (code == MDB_SUCCESS)
        code = mdb_txn_commit(txn); /* so that the handle stays */
    else
        mdb_txn_abort(txn);
    return lmdb_err(code);
}

static urd_err open_env(const struct opening *o, struct lmdb *db)
{
    MDB_envinfo env_info;
    unsigned flags = MDB_NOTLS | (db->read_only ? MDB_RDONLY | MDB_NOLOCK : 0);
    int code = mdb_env_create(&db->env);
    if (code != MDB_SUCCESS) return lmdb_err(code);
    code = mdb_env_set_mapsize(db->env, o->options.map_bytes);
    if (code == MDB_SUCCESS)
        code = mdb_env_set_maxreaders(db->env, STORAGE_SNAPSHOTS_MAX + LMDB_IDLE_MAX);
    if (code == MDB_SUCCESS) code = mdb_env_open(db->env, o->path, flags, FILE_MODE);
    if (code == MDB_SUCCESS && !db->read_only) code = mdb_reader_check(db->env, NULL);
    if (code == MDB_SUCCESS) code = mdb_env_info(db->env, &env_info);
    if (code == MDB_SUCCESS) db->map_bytes = env_info.me_mapsize;
    urd_err err = code == MDB_SUCCESS ? open_dbi(db) : lmdb_err(code);
    if (err == URD_OK && !db->read_only) err = sync_dir(o->path);
    if (err == URD_OK) return URD_OK;
    mdb_env_close(db->env);
    return say(o, "opening", code, err);
}

urd_err storage_lmdb_open(const char *path, const struct storage_lmdb_options *options,
                          struct storage **ret, char *errmsg, size_t errmsg_len)
{
    struct opening o = { .path = path, .errmsg = errmsg, .errmsg_len = errmsg_len };
    if (options != NULL) o.options = *options;
    struct storage_open_options open_options = { .read_only = o.options.read_only,
                                                 .report = o.options.report,
                                                 .report_arg = o.options.report_arg };
    urd_err err = check_options(&o, &o.options);
    if (err == URD_OK) err = make_dir(&o);
    if (err != URD_OK) return err;

    struct lmdb *db = calloc(1, sizeof *db);
    if (db == NULL) return URD_E_NOMEM;
    db->read_only = o.options.read_only;
    db->reserve_bytes = o.options.reserve_bytes;
    err = lock_dir(&o, &db->lock_fd);
    if (err != URD_OK) goto fail;
    err = lmdb_check(path, errmsg, errmsg_len);
    if (err == URD_OK) err = open_env(&o, db);
    if (err != URD_OK) goto fail_lock;
    err = storage_open(&driver, db, &open_options, ret, errmsg, errmsg_len);
    if (err != URD_OK) goto fail_env;
    return URD_OK;

fail_env:
    close_env(db);
fail_lock:
    if (db->lock_fd >= 0) close(db->lock_fd);
fail:
    free(db);
    return err;
}
