/* S14 over a whole store.  What sagas hold open is read into memory and sorted; then each quantity
 * and each queue is walked once and every row must find its counterpart. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "saga/builtin_internal.h"

#define SENTENCE_BYTES 512u

struct open {
    struct saga_held held;
    uint8_t saga[SAGA_ID_BYTES];
    bool seen; /* its counterpart is there */
};

struct verify {
    struct storage_snapshot *snapshot;
    void (*report)(void *arg, const char *sentence);
    void *arg;
    struct open *open; /* sorted: by kind of thing, name, number */
    size_t open_len, open_room;
    struct saga_builtin_summary sum;

    /* the queue being walked */
    char queue[SAGA_NAME_BYTES_MAX + 1];
    struct saga_queue_row header;
    uint64_t messages;
};

__attribute__((format(printf, 2, 3))) static void breach(struct verify *v, const char *format, ...)
{
    char sentence[SENTENCE_BYTES];
    va_list args;
    v->sum.breaches++;
    if (v->report == NULL) return;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    v->report(v->arg, sentence);
}

/* Sent and taken messages are one sort of thing: both name a message. */
static enum saga_held_kind sort_of(const struct open *o)
{
    return o->held.kind == SAGA_HELD_TAKEN ? SAGA_HELD_SENT : o->held.kind;
}

static int order(const void *a, const void *b)
{
    const struct open *x = a, *y = b;
    if (sort_of(x) != sort_of(y)) return sort_of(x) < sort_of(y) ? -1 : 1;
    int names = strcmp(x->held.name, y->held.name);
    if (names != 0) return names;
    return (x->held.number > y->held.number) - (x->held.number < y->held.number);
}

/* The first of what is held of @kind and @name from @number on; open_len: none. */
static size_t first_open(const struct verify *v, enum saga_held_kind kind, const char *name,
                         uint64_t number)
{
    struct open key = { .held = { .kind = kind, .number = number } };
    size_t low = 0, high = v->open_len;
    memcpy(key.held.name, name, strlen(name) + 1);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&v->open[middle], &key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_of(const struct verify *v, size_t i, enum saga_held_kind kind, const char *name)
{
    return i < v->open_len && sort_of(&v->open[i]) == kind &&
           strcmp(v->open[i].held.name, name) == 0;
}

/* --- walking ---------------------------------------------------------------------------------- */

typedef urd_err (*visit_fn)(struct verify *v, const struct storage_item *item);

/* Visit a table; damaged rows are breaches and passed over. */
static urd_err walk(struct verify *v, enum storage_table table, visit_fn visit)
{
    struct storage_key prefix;
    struct storage_cursor *cursor;
    storage_key_init(&prefix, table);
    struct storage_range range = { .prefix = &prefix };
    urd_err err = storage_snapshot_range(v->snapshot, &range, &cursor);
    if (err != URD_OK) return err;
    for (;;) {
        struct storage_item item;
        err = storage_cursor_next(cursor, &item);
        if (err == URD_OK) err = visit(v, &item);
        if (err == URD_E_CORRUPT || err == URD_E_VERSION) {
            char key[128];
            storage_key_print(item.key, item.key_len, key, sizeof key);
            breach(v, "%s: %s", key, urd_err_text(err));
            continue;
        }
        if (err != URD_OK) break;
    }
    storage_cursor_close(cursor);
    return err == URD_E_NOT_FOUND ? URD_OK : err;
}

static urd_err visit_held(struct verify *v, const struct storage_item *item)
{
    uint32_t step;
    if (v->open_len == v->open_room) {
        size_t room = v->open_room == 0 ? 64 : 2 * v->open_room;
        struct open *grown = realloc(v->open, room * sizeof grown[0]);
        if (grown == NULL) return URD_E_NOMEM;
        v->open = grown;
        v->open_room = room;
    }
    struct open *o = &v->open[v->open_len];
    *o = (struct open){ 0 };
    if (!saga_held_key_parse(item->key, item->key_len, o->saga, &step)) return URD_E_CORRUPT;
    urd_err err = saga_held_decode(item->value, &o->held);
    if (err == URD_OK) v->open_len++;
    return err;
}

/* held + consumed <= amount is what the decoder takes. */
static urd_err visit_quantity(struct verify *v, const struct storage_item *item)
{
    char name[SAGA_NAME_BYTES_MAX + 1];
    struct saga_quantity q;
    uint64_t held = 0;
    if (!saga_quantity_key_parse(item->key, item->key_len, name)) return URD_E_CORRUPT;
    for (size_t i = first_open(v, SAGA_HELD_AMOUNT, name, 0); is_of(v, i, SAGA_HELD_AMOUNT, name);
         i++) {
        held += v->open[i].held.number;
        v->open[i].seen = true;
    }
    urd_err err = saga_quantity_decode(item->value, &q);
    if (err != URD_OK) return err;
    v->sum.quantities++;
    if (held != q.held)
        breach(v, "quantity '%s' counts %llu as held, and sagas hold %llu", name,
               (unsigned long long)q.held, (unsigned long long)held);
    return URD_OK;
}

/* How often message @position is held by a saga. */
static uint64_t holders(struct verify *v, uint64_t position)
{
    uint64_t count = 0;
    size_t i = first_open(v, SAGA_HELD_SENT, v->queue, position);
    for (; is_of(v, i, SAGA_HELD_SENT, v->queue) && v->open[i].held.number == position; i++) {
        v->open[i].seen = true;
        count++;
    }
    return count;
}

static urd_err is_there(struct verify *v, enum saga_queue_part part, uint64_t position,
                        uint64_t *ret)
{
    struct storage_key key;
    struct storage_value value;
    saga_queue_position_key(&key, v->queue, part, position);
    urd_err err = storage_snapshot_get(v->snapshot, &key, &value);
    if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    *ret = err == URD_OK;
    return URD_OK;
}

static void end_queue(struct verify *v)
{
    if (v->queue[0] != '\0' && v->messages != v->header.len)
        breach(v, "queue '%s' counts %llu messages and has %llu", v->queue,
               (unsigned long long)v->header.len, (unsigned long long)v->messages);
}

static void begin_queue(struct verify *v, const char *name)
{
    end_queue(v);
    memcpy(v->queue, name, strlen(name) + 1);
    v->header = (struct saga_queue_row){ .next = UINT64_MAX };
    v->messages = 0;
    v->sum.queues++;
}

static urd_err visit_message(struct verify *v, uint64_t position)
{
    uint64_t visible = 0, held = holders(v, position);
    v->messages++;
    v->sum.messages++;
    urd_err err = is_there(v, SAGA_QUEUE_READY, position, &visible);
    if (err != URD_OK) return err;
    if (visible + held != 1)
        breach(v, "message %llu of queue '%s' is %s and held by %llu sagas",
               (unsigned long long)position, v->queue, visible != 0 ? "visible" : "not visible",
               (unsigned long long)held);
    if (position >= v->header.next)
        breach(v, "message %llu of queue '%s' lies ahead of the queue's next position %llu",
               (unsigned long long)position, v->queue, (unsigned long long)v->header.next);
    return URD_OK;
}

static urd_err visit_queue(struct verify *v, const struct storage_item *item)
{
    char name[SAGA_NAME_BYTES_MAX + 1];
    enum saga_queue_part part;
    uint64_t position, there = 0;
    if (!saga_queue_key_parse(item->key, item->key_len, name, &part, &position))
        return URD_E_CORRUPT;
    if (strcmp(name, v->queue) != 0) begin_queue(v, name);
    if (part == SAGA_QUEUE_HEADER) return saga_queue_row_decode(item->value, &v->header);
    if (part == SAGA_QUEUE_MESSAGE) return visit_message(v, position);
    urd_err err = is_there(v, SAGA_QUEUE_MESSAGE, position, &there);
    if (err == URD_OK && there == 0)
        breach(v, "queue '%s' shows message %llu, which is not there", name,
               (unsigned long long)position);
    return err;
}

/* What is held and was not met on the way is not there. */
static void report_lost(struct verify *v)
{
    for (size_t i = 0; i < v->open_len; i++) {
        const struct open *o = &v->open[i];
        char saga[SAGA_ID_TEXT_BYTES];
        if (o->seen || o->held.kind == SAGA_HELD_LEASE) continue;
        saga_id_print(o->saga, saga);
        if (o->held.kind == SAGA_HELD_AMOUNT)
            breach(v, "saga %s holds %llu of '%s', and there is no such quantity", saga,
                   (unsigned long long)o->held.number, o->held.name);
        else
            breach(v, "saga %s %s message %llu of queue '%s', which is not there", saga,
                   o->held.kind == SAGA_HELD_SENT ? "sent" : "received",
                   (unsigned long long)o->held.number, o->held.name);
    }
}

urd_err saga_builtin_verify(struct storage_snapshot *snapshot,
                            void (*report)(void *arg, const char *sentence), void *arg,
                            struct saga_builtin_summary *ret)
{
    struct verify v = { .snapshot = snapshot, .report = report, .arg = arg };
    urd_err err = walk(&v, STORAGE_TABLE_HELD, visit_held);
    if (err == URD_OK) {
        if (v.open_len > 0) qsort(v.open, v.open_len, sizeof v.open[0], order);
        v.sum.open = v.open_len;
        err = walk(&v, STORAGE_TABLE_ESCROW, visit_quantity);
    }
    if (err == URD_OK) err = walk(&v, STORAGE_TABLE_QUEUE, visit_queue);
    if (err == URD_OK) {
        end_queue(&v);
        report_lost(&v);
        *ret = v.sum;
    }
    free(v.open);
    return err;
}
