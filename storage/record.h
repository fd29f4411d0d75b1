/* storage/record.h -- one journal record, and a commit group of them, as bytes.  Pure.
 *
 * All integers big-endian:
 *
 *      0  u16  mark 0x5572, "Ur"
 *      2  u8   version, 1
 *      3  u8   kind, the saga engine's
 *      4  u32  payload length
 *      8  u64  checksum: XXH3-64 of everything else in the record, under the lsn it was written at
 *     16  16   saga id
 *     32  u64  seq: 1 for a saga's first record, then one more each
 *     40  u64  lsn of the saga's record before this one, 0 for the first
 *     48       payload
 *
 * A group is its records one after another, all of one lsn.  A damaged record costs itself only:
 * the reader goes on at the next byte where a record with a right checksum begins. */
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define STORAGE_RECORD_VERSION           1u
#define STORAGE_RECORD_HEADER_BYTES      48u
#define STORAGE_RECORD_PAYLOAD_BYTES_MAX (8u << 20)
#define STORAGE_SAGA_ID_BYTES            16u

struct storage_record {
    uint8_t saga_id[STORAGE_SAGA_ID_BYTES];
    uint64_t lsn; /* the group it is in */
    uint64_t seq;
    uint64_t prev_lsn;
    uint8_t kind;
    const uint8_t *payload; /* borrowed */
    uint32_t payload_len;   /* bytes, at most STORAGE_RECORD_PAYLOAD_BYTES_MAX */
};

/* Bytes @record takes. */
size_t storage_record_size(const struct storage_record *record);

/* Write @record to @ret, storage_record_size() bytes. */
void storage_record_seal(const struct storage_record *record, uint8_t *ret);

/* Read one record of group @lsn from the front of @bytes (borrowed; hostile until checked).  On
 * URD_OK
 * @ret_record points into @bytes and *@ret_used is what it took; on an error neither is written.
 * Errors: URD_E_SHORT cut off; URD_E_TOO_BIG its length passes the limit; URD_E_CORRUPT mark or
 * checksum; URD_E_VERSION a right checksum and a version of the future. */
URD_MUST_USE urd_err storage_record_decode(const uint8_t *bytes, size_t bytes_len, uint64_t lsn,
                                           struct storage_record *ret_record, size_t *ret_used);

/* Walks a group.  Begin with at = 0. */
struct storage_group {
    const uint8_t *bytes; /* borrowed */
    size_t len;
    uint64_t lsn;
    size_t at; /* where the next record begins; after an error, where reading goes on */
};

/* The next record.  Errors: URD_E_NOT_FOUND the end; URD_E_CORRUPT, URD_E_VERSION something that is
 * no good record lies at *@ret_at, and the next call goes on behind it. */
URD_MUST_USE urd_err storage_group_next(struct storage_group *group,
                                        struct storage_record *ret_record, size_t *ret_at);

#endif
