/* storage/lease.h -- fences and leases: who owns a name, decided inside a transaction.
 *
 * Both are used in an operation (storage/kv.h), so that the check and what it allows are one
 * commit. Safety rests on numbers that only grow, never on time: an old owner's number no longer
 * matches. */
#ifndef STORAGE_LEASE_H
#define STORAGE_LEASE_H

#include "storage/kv.h"

#define STORAGE_NAME_BYTES_MAX                                                                     \
    200u /* names of fences and leases; doubled by escaping it still fits */
#define STORAGE_HOLDER_BYTES_MAX 64u

/* --- fence: an owner's epoch ----------------------------------------------------------------- */

/* Take over @name: its epoch is raised by one (the first is 1) and handed back; every older owner
 * is fenced from this commit on.  Errors: URD_E_INVALID (empty), URD_E_TOO_BIG, and
 * storage_tx_put()'s. */
URD_MUST_USE urd_err storage_fence_take(struct storage_tx *tx, const void *name, size_t name_len,
                                        uint64_t *ret_epoch);

/* Go on only while @epoch is the epoch of @name: an operation that returns this call's error writes
 * nothing once another owner took over.  Errors: URD_E_FENCED, and storage_tx_get()'s. */
URD_MUST_USE urd_err storage_fence_check(struct storage_tx *tx, const void *name, size_t name_len,
                                         uint64_t epoch);

/* --- lease: a name held for a time ----------------------------------------------------------- */

struct storage_lease {
    uint64_t token;      /* strictly increasing over all leases of the store: the fencing token */
    int64_t expires_ns;  /* instant of the caller's node time */
    uint32_t holder_len; /* bytes */
    uint8_t holder[STORAGE_HOLDER_BYTES_MAX];
};

/* Take the lease @name for @holder until @now_ns + @ttl_ns.  Free, or run out: a new token.  Held
 * by this same holder: the same token, and its end moves (never back).  @now_ns is the caller's:
 * node time that never runs backwards. Errors: URD_E_BUSY another holds it, and *@ret says who and
 * until when (the one error that writes it); URD_E_INVALID, URD_E_TOO_BIG; storage_tx_put()'s. */
URD_MUST_USE urd_err storage_lease_acquire(struct storage_tx *tx, const void *name, size_t name_len,
                                           const void *holder, size_t holder_len, int64_t now_ns,
                                           int64_t ttl_ns, struct storage_lease *ret);

/* Move the end to @now_ns + @ttl_ns if that is later.  One that has run out and that nobody took
 * since is still its holder's.  Errors: URD_E_FENCED the token is not the current one. */
URD_MUST_USE urd_err storage_lease_renew(struct storage_tx *tx, const void *name, size_t name_len,
                                         uint64_t token, int64_t now_ns, int64_t ttl_ns,
                                         struct storage_lease *ret);

/* Give it back.  Errors: URD_E_FENCED the token is not the current one. */
URD_MUST_USE urd_err storage_lease_release(struct storage_tx *tx, const void *name, size_t name_len,
                                           uint64_t token);

/* Go on only while @token is the current one and has not run out at @now_ns.
 * Errors: URD_E_FENCED. */
URD_MUST_USE urd_err storage_lease_check(struct storage_tx *tx, const void *name, size_t name_len,
                                         uint64_t token, int64_t now_ns);

/* Look at it, held or run out.  Errors: URD_E_NOT_FOUND nobody holds it. */
URD_MUST_USE urd_err storage_lease_show(struct storage_snapshot *snapshot, const void *name,
                                        size_t name_len, struct storage_lease *ret);

#endif
