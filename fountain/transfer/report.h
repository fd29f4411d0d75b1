/* fountain/transfer/report.h -- what a receiver tells: small, cumulative, idempotent.
 *
 * A report describes all that has come so far, so a lost, late or doubled one changes nothing.
 * Nothing is asked for by index: for each unfinished block within the window it says how many
 * symbols are still needed; a block below window_end that is not listed is finished.
 *
 * Bytes (big endian): type 8, flags 8, entries 8, zero 8, highest 64, received 64, bytes 64, newest
 * time 32, echo 32, hold 32, delay 32, window end 32, digests 32, entries of block 32, need 16. */
#ifndef FOUNTAIN_TRANSFER_REPORT_H
#define FOUNTAIN_TRANSFER_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/error.h"

#define URD_FOUNTAIN_WINDOW_BLOCKS_MAX 128u
#define URD_FOUNTAIN_REPORT_HEADER_LEN 52u
#define URD_FOUNTAIN_REPORT_LEN_MAX                                                                \
    (URD_FOUNTAIN_REPORT_HEADER_LEN + 6u * URD_FOUNTAIN_WINDOW_BLOCKS_MAX)

#define URD_FOUNTAIN_REPORT_HEARD  1u /* something has come: the fields about it mean something */
#define URD_FOUNTAIN_REPORT_ENOUGH 2u /* every block is decoded: send no more */
#define URD_FOUNTAIN_REPORT_DONE   4u /* everything is durable and under its name */

struct urd_fountain_need {
    uint32_t block;
    uint16_t need; /* symbols; 0: it has enough and is being decoded */
};

struct urd_fountain_report {
    uint8_t flags;
    uint8_t needs_count;
    uint64_t highest;    /* highest packet number that came */
    uint64_t received;   /* datagrams that came */
    uint64_t bytes;      /* of those, sealed */
    uint32_t newest_us;  /* receiver's clock when the newest one came */
    uint32_t echo_us;    /* its send time, sender's clock */
    uint32_t hold_us;    /* from its coming to this report */
    uint32_t delay_us;   /* least (receiver's clock - send time) of late, modulo 2^32 */
    uint32_t window_end; /* first block the receiver has no room for yet */
    uint32_t digests;    /* digests known without a gap; blocks + 1: the root too */
    struct urd_fountain_need needs[URD_FOUNTAIN_WINDOW_BLOCKS_MAX]; /* ascending by block */
};

/* Encode to @ret (room for REPORT_LEN_MAX); returns the length. */
size_t urd_fountain_report_encode(const struct urd_fountain_report *report, uint8_t *ret);
/* Decode an opened, still untrusted payload.  Errors: URD_E_SHORT, URD_E_INVALID. */
URD_MUST_USE urd_err urd_fountain_report_decode(const uint8_t *payload, size_t payload_len,
                                                struct urd_fountain_report *ret);

#endif
