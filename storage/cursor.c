/* A cursor walks two sorted sequences at once, what the driver has committed and what the
 * transaction has written, and of a key in both takes the written one.  In a snapshot the second is
 * empty. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/bytes.h"
#include "storage/kv_internal.h"
#include "storage/value.h"

enum base_state { BASE_UNKNOWN, BASE_STANDS, BASE_ENDED };

struct storage_cursor {
    struct storage_view *view;
    void *driver_cursor;
    bool reverse, raw;

    struct storage_key low;  /* first key; strictly behind it if @after */
    struct storage_key high; /* first key behind; empty: no bound */
    bool after;

    enum base_state base_state;
    struct storage_raw base; /* the driver's next item, not yet handed out */

    struct storage_entry *held; /* what @last lies in, if it was written here */
    const uint8_t *last;        /* key handed out last; NULL: none */
    size_t last_len;
};

static bool too_long(const struct storage_key *key)
{
    return key != NULL && key->len > STORAGE_KEY_BYTES_MAX;
}

static int key_order(const struct storage_key *a, const struct storage_key *b)
{
    return storage_compare(a->bytes, a->len, b->bytes, b->len);
}

/* The least key greater than all that begin with @prefix; empty when there is none. */
static void prefix_end(const struct storage_key *prefix, struct storage_key *ret)
{
    *ret = *prefix;
    while (ret->len > 0 && ret->bytes[ret->len - 1] == 0xff)
        ret->len--;
    if (ret->len > 0) ret->bytes[ret->len - 1]++;
}

static void set_bounds(struct storage_cursor *cursor, const struct storage_range *range)
{
    if (range == NULL) return;
    cursor->low = *range->prefix;
    prefix_end(range->prefix, &cursor->high);
    if (range->from != NULL && key_order(range->from, &cursor->low) >= 0) {
        cursor->low = *range->from;
        cursor->after = range->after;
    }
    if (range->to != NULL && (cursor->high.len == 0 || key_order(range->to, &cursor->high) < 0))
        cursor->high = *range->to;
}

urd_err storage_view_range(struct storage_view *view, const struct storage_range *range, bool raw,
                           struct storage_cursor **ret)
{
    if (range != NULL && (too_long(range->prefix) || too_long(range->from) || too_long(range->to)))
        return URD_E_TOO_BIG;
    struct storage_cursor *cursor = calloc(1, sizeof *cursor);
    if (cursor == NULL) return URD_E_NOMEM;
    urd_err err = view->store->driver->cursor_open(view->driver_view, &cursor->driver_cursor);
    if (err != URD_OK) {
        free(cursor);
        return err;
    }
    cursor->view = view;
    cursor->raw = raw;
    cursor->reverse = range != NULL && range->reverse;
    set_bounds(cursor, range);
    view->cursors_open++;
    *ret = cursor;
    return URD_OK;
}

void storage_cursor_close(struct storage_cursor *cursor)
{
    if (cursor == NULL) return;
    assert(cursor->view->cursors_open > 0);
    cursor->view->cursors_open--;
    cursor->view->store->driver->cursor_close(cursor->driver_cursor);
    storage_entry_unref(cursor->held);
    free(cursor);
}

static bool in_bounds(const struct storage_cursor *cursor, const void *key, size_t key_len)
{
    int low = storage_compare(key, key_len, cursor->low.bytes, cursor->low.len);
    if (low < 0 || (low == 0 && cursor->after)) return false;
    return cursor->high.len == 0 ||
           storage_compare(key, key_len, cursor->high.bytes, cursor->high.len) < 0;
}

static urd_err base_first(struct storage_cursor *cursor)
{
    static const uint8_t behind_all = 0xff; /* no table has this byte */
    const struct storage_driver *driver = cursor->view->store->driver;
    if (cursor->reverse) {
        bool bound = cursor->high.len != 0;
        return driver->cursor_seek(cursor->driver_cursor, bound ? cursor->high.bytes : &behind_all,
                                   bound ? cursor->high.len : 1, true, &cursor->base);
    }
    urd_err err = driver->cursor_seek(cursor->driver_cursor, cursor->low.bytes, cursor->low.len,
                                      false, &cursor->base);
    if (err == URD_OK && cursor->after &&
        storage_compare(cursor->base.key, cursor->base.key_len, cursor->low.bytes,
                        cursor->low.len) == 0)
        err = driver->cursor_step(cursor->driver_cursor, false, &cursor->base);
    return err;
}

/* Have the driver's next item in @base, or know that there is none. */
static urd_err base_peek(struct storage_cursor *cursor)
{
    if (cursor->base_state != BASE_UNKNOWN) return URD_OK;
    urd_err err = cursor->base.key == NULL
                      ? base_first(cursor)
                      : cursor->view->store->driver->cursor_step(cursor->driver_cursor,
                                                                 cursor->reverse, &cursor->base);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    bool stands = err == URD_OK && in_bounds(cursor, cursor->base.key, cursor->base.key_len);
    cursor->base_state = stands ? BASE_STANDS : BASE_ENDED;
    return URD_OK;
}

/* The transaction's next entry behind what was handed out last, in bounds; NULL: none. */
static struct storage_entry *written_peek(const struct storage_cursor *cursor)
{
    const struct storage_tree *writes = cursor->view->writes;
    struct storage_entry *entry;
    if (writes == NULL || writes->root == NULL) return NULL;
    if (cursor->reverse && cursor->last != NULL)
        entry = storage_tree_before(writes, cursor->last, cursor->last_len);
    else if (cursor->reverse)
        entry = cursor->high.len == 0
                    ? storage_tree_last(writes)
                    : storage_tree_before(writes, cursor->high.bytes, cursor->high.len);
    else if (cursor->last != NULL)
        entry = storage_tree_at_or_after(writes, cursor->last, cursor->last_len, true);
    else
        entry = storage_tree_at_or_after(writes, cursor->low.bytes, cursor->low.len, cursor->after);
    return entry != NULL && in_bounds(cursor, entry->bytes, entry->key_len) ? entry : NULL;
}

/* Which comes first: < 0 the driver's item, > 0 the written entry, 0 they are of one key. */
static int which(const struct storage_cursor *cursor, const struct storage_entry *written)
{
    if (written == NULL) return -1;
    if (cursor->base_state != BASE_STANDS) return 1;
    int order =
        storage_compare(cursor->base.key, cursor->base.key_len, written->bytes, written->key_len);
    return cursor->reverse ? -order : order;
}

static void stand_on(struct storage_cursor *cursor, struct storage_entry *written)
{
    if (written != NULL) storage_entry_ref(written);
    storage_entry_unref(cursor->held);
    cursor->held = written;
    cursor->last = written != NULL ? written->bytes : cursor->base.key;
    cursor->last_len = written != NULL ? written->key_len : cursor->base.key_len;
}

static urd_err hand_out(struct storage_cursor *cursor, struct storage_value raw,
                        struct storage_item *ret)
{
    *ret = (struct storage_item){ .key = cursor->last, .key_len = cursor->last_len, .value = raw };
    if (cursor->raw) return URD_OK;
    urd_err err = storage_value_open(ret->key, ret->key_len, raw, &ret->value);
    if (err == URD_OK) return URD_OK;
    ret->value = (struct storage_value){ .bytes = ret->key, .len = 0 };
    return storage_view_blame(cursor->view, ret->key, ret->key_len, err);
}

urd_err storage_cursor_next(struct storage_cursor *cursor, struct storage_item *ret)
{
    for (;;) {
        urd_err err = base_peek(cursor);
        if (err != URD_OK) return err;
        struct storage_entry *written = written_peek(cursor);
        if (written == NULL && cursor->base_state == BASE_ENDED) return URD_E_NOT_FOUND;

        int first = which(cursor, written);
        if (first <= 0) cursor->base_state = BASE_UNKNOWN; /* used up */
        if (first < 0) {
            stand_on(cursor, NULL);
            return hand_out(cursor, cursor->base.value, ret);
        }
        stand_on(cursor, written);
        if (written->deleted) continue;
        struct storage_value raw = { .bytes = storage_entry_value(written),
                                     .len = written->value_len };
        return hand_out(cursor, raw, ret);
    }
}
