/* fountain/transfer/sink.h -- where a receiver's decoded blocks go: a table of functions.
 *
 * The order for each block is write, commit; then, once, finish.  An error of any of them ends the
 * transfer and is its result; what was committed stays, so that the same transfer can be resumed.
 */
#ifndef FOUNTAIN_TRANSFER_SINK_H
#define FOUNTAIN_TRANSFER_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "fountain/transfer/manifest.h"
#include "runtime/cx.h"

/* A block that is finished: written, right by its digest, and durable. */
struct urd_fountain_finished {
    uint32_t block;
    uint8_t digest[URD_FOUNTAIN_DIGEST_LEN];
};

struct urd_fountain_sink {
    /* Write @len stream bytes at @offset in place; not durable yet.  May be called again for the
     * same range (a block that was wrong).  May block; several may run at once, on different
     * ranges. */
    urd_err (*write)(void *impl, struct urd_cx *cx, uint64_t offset, const uint8_t *bytes,
                     size_t len);
    /* Make what was written of @blocks durable (fdatasync), then remember them as finished.  May
     * block; one at a time, but beside writes. */
    urd_err (*commit)(void *impl, struct urd_cx *cx, const struct urd_fountain_finished *blocks,
                      uint32_t count);
    /* Every block was committed and @root matches: put everything under its name.  May block. */
    urd_err (*finish)(void *impl, struct urd_cx *cx,
                      const uint8_t root[static URD_FOUNTAIN_DIGEST_LEN]);
    void *impl;
};

/* Where finished blocks are remembered across restarts: the node's storage, a client's own file. */
struct urd_fountain_journal {
    /* Make @blocks durable before returning.  May block. */
    urd_err (*append)(void *impl, struct urd_cx *cx, const struct urd_fountain_finished *blocks,
                      uint32_t count);
    void *impl;
};

#endif
