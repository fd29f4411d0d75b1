/* fountain/transfer/intake.h -- a receiver's books: which blocks are open, needed, written, right.
 *
 *     MISSING -> (open in the window) -> WRITTEN -> RIGHT -> FINISHED
 *        ^                                  |
 *        +------ its digest is another -----+
 *
 * The window is the first few blocks that are not written yet; each open one has, once a symbol
 * came for it, a decoder.  Pure bookkeeping: no I/O, no clock, no decoding. */
#ifndef FOUNTAIN_TRANSFER_INTAKE_H
#define FOUNTAIN_TRANSFER_INTAKE_H

#include "fountain/transfer/digests.h"
#include "fountain/transfer/layout.h"
#include "fountain/transfer/report.h"
#include "fountain/transfer/sink.h"

#define URD_FOUNTAIN_BLOCK_TRIES_MAX 3u /* times that a block may be wrong */

enum urd_fountain_block_state {
    URD_FOUNTAIN_BLOCK_MISSING,
    URD_FOUNTAIN_BLOCK_WRITTEN, /* decoded, hashed, in the sink; its digest is not known yet */
    URD_FOUNTAIN_BLOCK_RIGHT,   /* digest matches; to be committed */
    URD_FOUNTAIN_BLOCK_FINISHED /* durable and journalled */
};

/* An open block. */
struct urd_fountain_intake_open {
    uint32_t block;
    uint16_t need; /* symbols, as the next report says */
    void *slot;    /* the receiver's; NULL: no symbol came yet */
};

struct urd_fountain_intake {
    struct urd_fountain_layout layout;
    struct urd_fountain_intake_open open[URD_FOUNTAIN_WINDOW_BLOCKS_MAX]; /* ascending */
    uint32_t open_count, open_max;
    uint32_t window_end;  /* blocks below were opened at some time, or finished before */
    uint32_t wrong_count; /* blocks below window_end that are to be opened again */
    uint8_t *states;      /* a block each: state, journalled before, times wrong */
    uint8_t (*digests)[URD_FOUNTAIN_DIGEST_LEN]; /* of what was written */
    uint32_t *unverified;                        /* blocks WRITTEN */
    uint32_t unverified_count;
    uint32_t verified_known; /* digests known at the last look */
    uint32_t *right;         /* blocks RIGHT */
    uint32_t right_count;
    uint32_t written, finished; /* blocks that are at least so far */
    uint64_t bytes_written;     /* of the stream, in blocks at least written */
    uint64_t bytes_before;      /* of those, from an earlier session */
};

/* Start with the blocks of @finished done; at most @open_max (1 .. WINDOW_BLOCKS_MAX) are open at a
 * time.  Errors: URD_E_NOMEM; URD_E_INVALID a block of @finished is not in the layout. */
URD_MUST_USE urd_err urd_fountain_intake_init(struct urd_fountain_intake *intake,
                                              const struct urd_fountain_layout *layout,
                                              uint32_t open_max,
                                              const struct urd_fountain_finished *finished,
                                              uint32_t finished_count);
void urd_fountain_intake_done(struct urd_fountain_intake *intake);

/* The open entry of @block, or NULL: nothing more is wanted of it, or not yet. */
struct urd_fountain_intake_open *urd_fountain_intake_find(struct urd_fountain_intake *intake,
                                                          uint32_t block);
/* @entry's block was decoded and written, and hashes to @digest: it leaves the window, the next one
 * enters. */
void urd_fountain_intake_written(struct urd_fountain_intake *intake,
                                 struct urd_fountain_intake_open *entry,
                                 const uint8_t digest[static URD_FOUNTAIN_DIGEST_LEN]);
/* Compare what was written with the digests on @board.  Errors: URD_E_CORRUPT a block was wrong
 * BLOCK_TRIES_MAX times. */
URD_MUST_USE urd_err urd_fountain_intake_verify(struct urd_fountain_intake *intake,
                                                struct urd_fountain_digests *board);
/* Take up to @max blocks that are right and not yet committed. */
uint32_t urd_fountain_intake_take_right(struct urd_fountain_intake *intake,
                                        struct urd_fountain_finished *ret, uint32_t max);
/* They were committed. */
void urd_fountain_intake_committed(struct urd_fountain_intake *intake,
                                   const struct urd_fountain_finished *blocks, uint32_t count);
/* Fill in the report's window, needs and ENOUGH. */
void urd_fountain_intake_report(const struct urd_fountain_intake *intake,
                                struct urd_fountain_report *report);

#endif
