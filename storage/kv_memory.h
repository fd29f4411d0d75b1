/* storage/kv_memory.h -- the lab's store: a simulated disk, deterministic, that can lose what was
 * not synced.
 *
 * The disk is a log of commits; a commit is written, then synced, then answered.  A crash keeps
 * what was synced and any part of what was not; opening replays the log and cuts a torn tail, as a
 * journalling store does.  Nothing here draws randomness: the test says what happens.
 *
 * The disk outlives the stores opened on it, one at a time.  Snapshots may be used from any thread;
 * the functions below only while no commit runs. */
#ifndef STORAGE_KV_MEMORY_H
#define STORAGE_KV_MEMORY_H

#include "storage/kv.h"

#define STORAGE_MEMORY_CAPACITY_BYTES_DEFAULT (256ull << 20)

struct storage_memory; /* the disk */

/* An empty disk that holds @capacity_bytes of live keys and values (0: default), of which
 * @reserve_bytes only for commits that may use the reserve.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err storage_memory_new(uint64_t capacity_bytes, uint64_t reserve_bytes,
                                        struct storage_memory **ret);
/* Free the disk; no store is open on it.  NULL is allowed. */
void storage_memory_free(struct storage_memory *disk);

/* Open the store on @disk, @report may be NULL.  *@ret is closed with storage_close().
 * Errors: URD_E_BUSY it is open already; URD_E_CORRUPT a synced part of the log is damaged;
 * URD_E_VERSION; URD_E_NOMEM. */
URD_MUST_USE urd_err storage_memory_open(struct storage_memory *disk, storage_report_fn report,
                                         void *report_arg, struct storage **ret, char *errmsg,
                                         size_t errmsg_len);

/* Where in a commit the power goes. */
enum storage_memory_point {
    STORAGE_MEMORY_BEFORE_WRITE,
    STORAGE_MEMORY_BEFORE_SYNC, /* written; the crash decides what of it stays */
    STORAGE_MEMORY_AFTER_SYNC,  /* durable, and nobody was told */
    STORAGE_MEMORY_POINTS
};

/* The power goes at @point of the @nth commit from now (1: the next).  From then on the open store
 * answers every write URD_E_IO (nobody is left to hear it) until it is closed and opened anew.
 * Of a write that was not synced @keep_bytes stay, at most all of it, the last byte of them damaged
 * when @torn. */
void storage_memory_crash_at(struct storage_memory *disk, uint64_t nth,
                             enum storage_memory_point point, uint64_t keep_bytes, bool torn);

/* The power goes now, between commits. */
void storage_memory_crash(struct storage_memory *disk);

/* The @nth commit from now answers @err: URD_E_IO (a failed sync; the store takes no more writes;
 * its bytes stay on the disk if @kept) or URD_E_STORAGE_FULL (nothing happens, the next may work).
 */
void storage_memory_fail_at(struct storage_memory *disk, uint64_t nth, urd_err err, bool kept);

/* Change how much the disk holds from now on. */
void storage_memory_resize(struct storage_memory *disk, uint64_t capacity_bytes);

/* Flip @mask in byte @offset of what is kept under @key, header included: damage at rest.  Only
 * while no store is open.  False: no such key or byte. */
bool storage_memory_damage(struct storage_memory *disk, const struct storage_key *key,
                           size_t offset, uint8_t mask);

/* The same to byte @offset of the log itself: opening it answers URD_E_CORRUPT.  False: no such
 * byte. */
bool storage_memory_damage_log(struct storage_memory *disk, size_t offset, uint8_t mask);

/* Bytes of the log, and syncs so far. */
uint64_t storage_memory_log_bytes(const struct storage_memory *disk);
uint64_t storage_memory_syncs(const struct storage_memory *disk);

#endif
