/* storage/kv_internal.h -- what kv.c, cursor.c, tx.c, watch.c and journal.c share: the store's
 * insides.
 */
#ifndef STORAGE_KV_INTERNAL_H
#define STORAGE_KV_INTERNAL_H

#include "storage/driver_internal.h"
#include "storage/spin_internal.h"
#include "storage/tree_internal.h"

/* What reading has in common, in a snapshot and in the write transaction. */
struct storage_view {
    struct storage *store;
    void *driver_view;
    const struct storage_tree *writes; /* seen before the driver's; NULL in a snapshot */
    uint32_t cursors_open;
    char errmsg[STORAGE_ERRMSG_BYTES_MAX];
};

struct storage_snapshot {
    struct storage_view view;
    const char *name;
    uint64_t began_ns;
    bool reported;
    struct storage_snapshot *next, *prev;
};

/* The group of journal records that a transaction gathers. */
struct storage_group_buffer {
    uint8_t *bytes;
    size_t len, cap;
};

struct storage_tx {
    struct storage_view view;
    struct storage_tree writes; /* entries sealed; deletes are entries too */
    struct storage_tree_edit edit;
    struct storage_group_buffer group;
    uint64_t lsn;       /* of the group, if it gets records */
    urd_err doomed;     /* why the operation (or, outside one, the transaction) cannot succeed */
    uint64_t mutations; /* puts, deletes and appends so far, undone ones too */
    bool overflowed;    /* a limit of the transaction was passed: it may fit another */
};

struct storage_watch {
    struct storage *store;
    struct storage_key prefix;
    void (*changed)(void *arg);
    void *arg;
    struct storage_watch *next, *prev;
};

struct storage {
    const struct storage_driver *driver;
    void *impl;
    struct storage_open_options options;

    struct storage_spin lock; /* guards what follows, up to the blank line */
    struct storage_snapshot *snapshots;
    uint32_t snapshots_open;
    bool tx_open;
    bool full, failed;
    uint64_t commits, last_lsn;

    struct storage_spin watch_lock; /* guards the list, and is held while callbacks run */
    struct storage_watch *watches;
    uint32_t watches_open;

    struct storage_tx tx; /* whoever set tx_open has it */
};

/* As the public functions, for both kinds of view; _raw: without check, header included. */
URD_MUST_USE urd_err storage_view_get(struct storage_view *view, const struct storage_key *key,
                                      struct storage_value *ret);
URD_MUST_USE urd_err storage_view_get_raw(struct storage_view *view, const struct storage_key *key,
                                          struct storage_value *ret);
/* @range NULL: the whole store.  @raw: values are not checked, header included. */
URD_MUST_USE urd_err storage_view_range(struct storage_view *view,
                                        const struct storage_range *range, bool raw,
                                        struct storage_cursor **ret);

/* Keep "<key>: <text of err>" as the view's sentence; the answer is @err. */
urd_err storage_view_blame(struct storage_view *view, const void *key, size_t key_len, urd_err err);

/* Tell watches of @writes, which have been committed. */
void storage_watch_tell(struct storage *store, const struct storage_tree *writes);

/* The newest journal key's lsn, read through @driver_view. */
URD_MUST_USE urd_err storage_find_last_lsn(struct storage *store, void *driver_view,
                                           uint64_t *ret_lsn);

/* Whether the last operation failed because the transaction ran out of room. */
bool storage_tx_overflowed(const struct storage_tx *tx);

#endif
