/* storage/driver_internal.h -- what a driver of the store does: keep bytes in order, commit a
 * batch.
 *
 * A driver knows nothing of headers, tables, fences or sagas.  It shows committed bytes through
 * views, and takes a transaction as one sorted batch that it makes durable whole or not at all.  A
 * new ordered store is one more file that fills this table. */
#ifndef STORAGE_DRIVER_INTERNAL_H
#define STORAGE_DRIVER_INTERNAL_H

#include "storage/kv.h"
#include "storage/tree_internal.h"

/* A key and the raw bytes under it. */
struct storage_raw {
    const uint8_t *key;
    size_t key_len;
    struct storage_value value;
};

struct storage_driver {
    const char *name;

    /* See what is committed.  @write: for the one write transaction; nobody else commits until it
     * is closed or committed.  Everything shown is borrowed until the view closes. */
    urd_err (*view_open)(void *impl, bool write, void **ret_view);
    void (*view_close)(void *impl, void *view);
    /* Errors: URD_E_NOT_FOUND, URD_E_IO. */
    urd_err (*view_get)(void *view, const void *key, size_t key_len, struct storage_value *ret);

    urd_err (*cursor_open)(void *view, void **ret_cursor);
    void (*cursor_close)(void *cursor);
    /* To the first key at or after @key; @before: to the last before it.  URD_E_NOT_FOUND: none. */
    urd_err (*cursor_seek)(void *cursor, const void *key, size_t key_len, bool before,
                           struct storage_raw *ret);
    /* One on, or @back; only after a seek or step that answered URD_OK. */
    urd_err (*cursor_step)(void *cursor, bool back, struct storage_raw *ret);

    /* Make @writes durable and visible, and close the write view, whatever the answer: URD_OK,
     * URD_E_STORAGE_FULL or URD_E_NOMEM or URD_E_TOO_BIG (nothing happened), anything else is taken
     * as URD_E_IO. */
    urd_err (*commit)(void *impl, void *view, const struct storage_tree *writes, bool use_reserve);

    void (*info)(void *impl, struct storage_info *ret);
    void (*readers_check)(void *impl); /* may be NULL */
    urd_err (*backup)(void *impl, const char *path, char *errmsg, size_t errmsg_len); /* or NULL */
    void (*close)(void *impl);
};

struct storage_open_options {
    bool read_only;
    storage_report_fn report;
    void *report_arg;
};

/* Put a store in front of an opened driver: check its format, or found it when it is empty.  On an
 * error @impl is still the caller's. */
URD_MUST_USE urd_err storage_open(const struct storage_driver *driver, void *impl,
                                  const struct storage_open_options *options, struct storage **ret,
                                  char *errmsg, size_t errmsg_len);

#endif
