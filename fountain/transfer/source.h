/* fountain/transfer/source.h -- where a sender's bytes come from: a table of functions. */
#ifndef FOUNTAIN_TRANSFER_SOURCE_H
#define FOUNTAIN_TRANSFER_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/cx.h"

struct urd_fountain_source {
    /* Read stream bytes [offset, offset + len), all of them, to @ret.  May block; several may run
     * at once.  The bytes must be those the manifest was made from: what was read is checked
     * against it before and after.  Errors: URD_E_CHANGED; anything of runtime/file.h.  All end the
     * transfer. */
    urd_err (*read)(void *impl, struct urd_cx *cx, uint64_t offset, uint8_t *ret, size_t len);
    void *impl;
};

#endif
