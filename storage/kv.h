/* storage/kv.h -- one ordered key-value store; everything durable in Urd is written through it.
 *
 *     read    storage_snapshot_begin -> get, range -> storage_snapshot_end     any thread, short
 *     write   storage_tx_begin -> run operations -> storage_tx_commit          one at a time
 *
 * Readers see what was committed (and is durable) when they began, and nothing later.  There is one
 * write transaction at a time, so writes are serializable; it sees its own writes.  In a running
 * node the committer (storage/committer.h) is the only writer: what decides a write is read there
 * and nowhere else.
 *
 * Drivers stand behind a table of functions: kv_lmdb.h (one machine) and kv_memory.h (the lab).
 *
 * None of these functions takes a cx or parks a task.  Snapshots are for workers too: they touch
 * memory, at worst a page fault.  A snapshot is never held over a wait: an old one keeps every page
 * freed since from being reused (a forgotten reader grew an 8 MB store to 904 MB), and the watchdog
 * names one older than 5 s.  Opening, closing, committing and backing up wait for the disk: call
 * them from urd_blocking() or before the runtime starts.
 *
 * Every value is kept under a header with format version and an XXH3-64 checksum over key and
 * value; what does not match is URD_E_CORRUPT, the object asked keeps a sentence that names the
 * record (storage_snapshot_error(), storage_tx_error()), and everything else stays readable. */
#ifndef STORAGE_KV_H
#define STORAGE_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"
#include "storage/keys.h"

#define STORAGE_FORMAT_VERSION   1u
#define STORAGE_VALUE_BYTES_MAX  (32u << 20)   /* one value, as put */
#define STORAGE_TX_BYTES_MAX     (64u << 20)   /* keys and values one transaction may write */
#define STORAGE_TX_WRITES_MAX    (1u << 17)    /* keys one transaction may write */
#define STORAGE_SNAPSHOTS_MAX    512u          /* open at once */
#define STORAGE_WATCHES_MAX      1024u         /* open at once */
#define STORAGE_READER_OLD_NS    5000000000ull /* the watchdog names a snapshot older than this */
#define STORAGE_ERRMSG_BYTES_MAX 256u

struct storage;          /* an open store */
struct storage_snapshot; /* what was committed at one moment */
struct storage_tx;       /* the write transaction */

/* Told things that people should know, "reader 'list' open for 7 s"; from any thread, must not
 * block. */
typedef void (*storage_report_fn)(void *arg, const char *line);

/* Close @store; NULL is allowed.  No snapshot, transaction or watch is open (our bug: asserted). */
void storage_close(struct storage *store);

/* How a store stands, for status and metrics. */
struct storage_info {
    const char *driver;      /* "lmdb", "memory" */
    uint64_t capacity_bytes; /* what it may grow to, reserve included */
    uint64_t used_bytes;     /* of them in use or kept for reuse */
    uint64_t commits;        /* since it was opened */
    uint64_t last_lsn;       /* newest journal group; 0: none */
    uint32_t snapshots_open;
    bool full;   /* the last ordinary commit did not fit */
    bool failed; /* a sync failed: every write answers URD_E_IO until the store is opened anew */
};
void storage_info(struct storage *store, struct storage_info *ret);

/* --- reading --------------------------------------------------------------------------------- */

/* Bytes borrowed from the store. */
struct storage_value {
    const uint8_t *bytes;
    size_t len;
};

/* Begin to read.  @name (static string) is who reads, for the watchdog; @now_ns is the caller's
 * monotonic clock.  End with storage_snapshot_end() before the task next waits for anything.
 * Errors: URD_E_FULL too many are open; URD_E_NOMEM; URD_E_IO. */
URD_MUST_USE urd_err storage_snapshot_begin(struct storage *store, const char *name,
                                            uint64_t now_ns, struct storage_snapshot **ret);

/* End it; what was borrowed from it is gone.  NULL is allowed. */
void storage_snapshot_end(struct storage_snapshot *snapshot);

/* Find @key.  *@ret is borrowed until the snapshot ends.
 * Errors: URD_E_NOT_FOUND; URD_E_CORRUPT, URD_E_VERSION (see storage_snapshot_error());
 * URD_E_TOO_BIG the key is over the limit; URD_E_IO. */
URD_MUST_USE urd_err storage_snapshot_get(struct storage_snapshot *snapshot,
                                          const struct storage_key *key, struct storage_value *ret);

/* A sentence about the last error but URD_E_NOT_FOUND, naming the record; "" when there was none.
 */
const char *storage_snapshot_error(const struct storage_snapshot *snapshot);

/* A stretch of keys, walked in key order or, @reverse, against it: those that begin with @prefix
 * and, where set, are at or after @from (@after: strictly after) and before @to.  Borrowed until
 * the cursor is opened. */
struct storage_range {
    const struct storage_key *prefix; /* required; a table's byte alone is the whole table */
    const struct storage_key *from;   /* NULL: from the first */
    const struct storage_key *to;     /* NULL: to the last */
    bool after;
    bool reverse;
};

/* What a cursor stands on; borrowed until it moves or closes. */
struct storage_item {
    const uint8_t *key;
    size_t key_len;
    struct storage_value value;
};

struct storage_cursor;

/* Open a cursor before the first item of @range.  Close it before its snapshot ends.
 * Errors: URD_E_NOMEM, URD_E_TOO_BIG, URD_E_IO. */
URD_MUST_USE urd_err storage_snapshot_range(struct storage_snapshot *snapshot,
                                            const struct storage_range *range,
                                            struct storage_cursor **ret);

/* Step to the next item.
 * Errors: URD_E_NOT_FOUND there is none; URD_E_CORRUPT, URD_E_VERSION this item's value cannot be
 * trusted: @ret has its key and an empty value, and the next call goes on behind it; URD_E_IO. */
URD_MUST_USE urd_err storage_cursor_next(struct storage_cursor *cursor, struct storage_item *ret);

/* Close it; NULL is allowed. */
void storage_cursor_close(struct storage_cursor *cursor);

/* The watchdog: report every snapshot older than STORAGE_READER_OLD_NS at @now_ns to the store's
 * report function, each once, and free what dead processes left in the reader table.  The committer
 * calls it.  Returns how many are old. */
uint32_t storage_readers_check(struct storage *store, uint64_t now_ns);

/* --- writing --------------------------------------------------------------------------------- */

/* Begin the write transaction; it belongs to the calling thread until committed or aborted.  It
 * collects writes in memory and reads through them; the driver sees them at commit, in key order.
 * Errors: URD_E_BUSY another is open (never waits); URD_E_IO the store has failed; URD_E_NOMEM;
 * URD_E_STATE the store was opened read-only. */
URD_MUST_USE urd_err storage_tx_begin(struct storage *store, struct storage_tx **ret);

/* Make all writes durable and visible at once, and wake watches.  Waits for the disk.  Ends the
 * transaction whatever the answer.  A transaction without writes answers URD_OK at no cost.
 * @use_reserve: may use the reserve that is kept for deletes and endings.
 * Errors: URD_E_STORAGE_FULL nothing was written, reads go on, and it may fit later; URD_E_IO what
 * the disk holds is no longer known: the store takes no more writes; URD_E_NOMEM nothing written.
 */
URD_MUST_USE urd_err storage_tx_commit(struct storage_tx *tx, bool use_reserve);

/* End it with nothing written; NULL is allowed. */
void storage_tx_abort(struct storage_tx *tx);

/* A check and its writes, done whole or not at all.  Runs with no cx on whichever thread commits,
 * must not block, and touches nothing but @tx and @arg.  It may be run again from the start when a
 * group is cut or a commit does not fit: only the last run counts, so it sets its results rather
 * than adding to them.  Anything but URD_OK refuses: its writes are dropped, that code is the
 * answer. */
typedef urd_err (*storage_op_fn)(struct storage_tx *tx, void *arg);

/* Run one operation against what those before it left.  The answer is @run's own, or URD_E_TOO_BIG
 * when a limit of the transaction was passed, or URD_E_NOMEM; on any error what @run wrote (table
 * writes and journal records) is undone, and nothing else. */
URD_MUST_USE urd_err storage_tx_run(struct storage_tx *tx, storage_op_fn run, void *arg);

/* As storage_snapshot_get(), seeing what was written before in this transaction.  *@ret is borrowed
 * until the next put, delete or the end. */
URD_MUST_USE urd_err storage_tx_get(struct storage_tx *tx, const struct storage_key *key,
                                    struct storage_value *ret);

/* Put @value (copied), replacing what was there.
 * Errors: URD_E_TOO_BIG key, value or transaction over its limit; URD_E_NOMEM; URD_E_INVALID the
 * key is empty.  An error also dooms the operation: it cannot be half done. */
URD_MUST_USE urd_err storage_tx_put(struct storage_tx *tx, const struct storage_key *key,
                                    const void *value, size_t value_len);

/* Delete @key; one that is not there is fine.  Errors: as storage_tx_put(). */
URD_MUST_USE urd_err storage_tx_delete(struct storage_tx *tx, const struct storage_key *key);

/* As storage_snapshot_range(); writes may go on under the cursor: those ahead of it are seen. */
URD_MUST_USE urd_err storage_tx_range(struct storage_tx *tx, const struct storage_range *range,
                                      struct storage_cursor **ret);

/* As storage_snapshot_error(). */
const char *storage_tx_error(const struct storage_tx *tx);

/* Keys and bytes written so far, journal included. */
size_t storage_tx_bytes(const struct storage_tx *tx);

/* --- watching -------------------------------------------------------------------------------- */

struct storage_watch;

/* Call @changed(@arg) after each commit that put or deleted a key beginning with @prefix.  It says
 * only that something changed: read again.  Runs on the committing thread when the change is
 * durable and visible; must not block or call the store (set an event, wake a notify).
 * Errors: URD_E_NOMEM, URD_E_FULL, URD_E_TOO_BIG. */
URD_MUST_USE urd_err storage_watch_open(struct storage *store, const struct storage_key *prefix,
                                        void (*changed)(void *arg), void *arg,
                                        struct storage_watch **ret);

/* Close it; when this returns @changed is not running and is not called again.  NULL is allowed. */
void storage_watch_close(struct storage_watch *watch);

/* --- whole-store work ------------------------------------------------------------------------ */

/* Something wrong that a walk over the store met. */
struct storage_flaw {
    urd_err err; /* URD_E_CORRUPT, URD_E_VERSION */
    const uint8_t *key;
    size_t key_len;
    const char *sentence; /* names the record; borrowed for the call */
};

struct storage_verify_result {
    uint64_t items;
    uint64_t journal_records;
    uint64_t bytes;
    uint64_t flaws;
};

/* Walk everything, check every checksum, and each record of the journal by itself; @visit (may be
 * NULL) gets each flaw.  URD_OK when the walk came to its end, however many flaws it met: they are
 * in *@ret.  A long reader: on a live store mind the watchdog.
 * Errors: URD_E_NOMEM, URD_E_IO. */
URD_MUST_USE urd_err storage_verify(struct storage_snapshot *snapshot,
                                    void (*visit)(void *arg, const struct storage_flaw *flaw),
                                    void *arg, struct storage_verify_result *ret);

/* Copy a live store, compacted, as one consistent state to the directory @path, which is made and
 * must not hold a store; the copy is durable when this returns.  Waits for the disk.
 * Errors: URD_E_EXISTS, URD_E_STORAGE_FULL, URD_E_IO (the copy only), URD_E_SYSTEM (permissions),
 * URD_E_UNSUPPORTED the driver has no files. */
URD_MUST_USE urd_err storage_backup(struct storage *store, const char *path, char *errmsg,
                                    size_t errmsg_len);

#endif
