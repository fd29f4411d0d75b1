/* storage/journal.h -- the saga journal: append-only records, many sagas, one history each.
 *
 * The records that are committed together are one value under the next lsn, so every put is an
 * append (one value a group costs 2-7 KB a three-step saga where a key a record with its indexes
 * cost 39-62).  A record names the lsn of its saga's record before it: a history is read from its
 * newest lsn along that chain, without an index.  Whoever appends keeps each saga's newest (lsn,
 * seq).
 *
 * After Garcia-Molina & Salem, "Sagas" (SIGMOD 1987), section 4.  Bytes: storage/record.h. */
#ifndef STORAGE_JOURNAL_H
#define STORAGE_JOURNAL_H

#include "storage/kv.h"
#include "storage/record.h"

#define STORAGE_GROUP_BYTES_MAX    (16u << 20) /* records of one transaction */
#define STORAGE_HISTORY_GROUPS_MAX (1u << 20)  /* groups one saga's history may spread over */

/* Append a record of @saga_id inside an operation.  @seq is 1 for a saga's first record and one
 * more each time; @prev_lsn is where the record before it went (0 for the first).  @payload is
 * copied.
 * *@ret_lsn is the group's lsn, the same for all records of this commit; it counts once the commit
 * is durable. Errors: URD_E_TOO_BIG payload, or no room left in this group (the committer then cuts
 * it and runs the operation again in the next); URD_E_NOMEM; URD_E_INVALID seq 0, or a prev_lsn
 * that does not go with it or lies ahead. */
URD_MUST_USE urd_err storage_tx_journal_append(struct storage_tx *tx,
                                               const uint8_t saga_id[STORAGE_SAGA_ID_BYTES],
                                               uint64_t seq, uint64_t prev_lsn, uint8_t kind,
                                               const void *payload, size_t payload_len,
                                               uint64_t *ret_lsn);

/* The lsn that this transaction's records get. */
uint64_t storage_tx_journal_lsn(const struct storage_tx *tx);

/* Remove from group @lsn the records for which @keep answers false; a group without records goes,
 * except the newest (lsns are never used twice).  Damaged records are kept as they lie.
 * Errors: URD_E_NOT_FOUND, URD_E_NOMEM, storage_tx_put()'s. */
URD_MUST_USE urd_err storage_tx_journal_trim(struct storage_tx *tx, uint64_t lsn,
                                             bool (*keep)(void *arg,
                                                          const struct storage_record *record),
                                             void *arg);

/* The newest lsn; 0 when the journal is empty. */
URD_MUST_USE urd_err storage_journal_last(struct storage_snapshot *snapshot, uint64_t *ret_lsn);

/* Visits a record (borrowed for the call); anything but URD_OK stops the walk and is its answer. */
typedef urd_err (*storage_record_fn)(void *arg, const struct storage_record *record);

/* Visit @saga_id's records from the first to the one(s) in group @last_lsn, in order of seq.
 * Errors: URD_E_CORRUPT a record is damaged, missing or out of order, and the sentence (see
 * storage_snapshot_error()) names saga, lsn and seq: nothing is visited then; URD_E_VERSION;
 * URD_E_NOT_FOUND group @last_lsn is not there or has nothing of this saga; URD_E_TOO_BIG;
 * URD_E_NOMEM; URD_E_IO; @visit's. */
URD_MUST_USE urd_err storage_journal_history(struct storage_snapshot *snapshot, uint64_t last_lsn,
                                             const uint8_t saga_id[STORAGE_SAGA_ID_BYTES],
                                             storage_record_fn visit, void *arg);

/* Visit every record from group @from_lsn on, in the order of commit.  Damaged ones are skipped,
 * each told to @flaw (may be NULL).  Errors: URD_E_IO, URD_E_NOMEM; @visit's. */
URD_MUST_USE urd_err storage_journal_walk(struct storage_snapshot *snapshot, uint64_t from_lsn,
                                          storage_record_fn visit,
                                          void (*flaw)(void *arg, const struct storage_flaw *flaw),
                                          void *arg);

#endif
