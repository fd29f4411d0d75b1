/* How a Receive waits.  Those who wait on one queue share a watch on its visible messages and a
 * notify.  A commit wakes one of them; who was woken wakes the next when it has taken a message, or
 * can not, so that as long as there are messages and waiters, one of them is looking, and one
 * message does not make all of them try.
 *
 * The waiter's part is on its task's stack, and d->of_participant names it: a withdraw comes on the
 * same worker (saga/participant.h), so it meets no waiter that is just leaving. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "saga/builtin_internal.h"

struct saga_builtin_queue {
    struct saga_builtin_queue *next;
    struct storage_watch *watch;
    struct urd_notify notify;
    uint32_t waiters;
    char name[SAGA_NAME_BYTES_MAX + 1];
};

struct waiter {
    struct saga_builtin_queue *queue;
    bool withdrawn;
};

/* On the committing thread. */
static void changed(void *arg)
{
    struct saga_builtin_queue *queue = arg;
    urd_notify_one(&queue->notify);
}

static struct saga_builtin_queue **find(struct saga_builtin *builtin, const char *name)
{
    struct saga_builtin_queue **at = &builtin->waited;
    while (*at != NULL && strcmp((*at)->name, name) != 0)
        at = &(*at)->next;
    return at;
}

static urd_err new_queue(struct saga_builtin *builtin, const char *name,
                         struct saga_builtin_queue **ret)
{
    struct storage_key prefix;
    struct saga_builtin_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL) return URD_E_NOMEM;
    memcpy(queue->name, name, strlen(name) + 1); /* checked: SAGA_NAME_BYTES_MAX */
    saga_queue_key(&prefix, name, SAGA_QUEUE_READY);
    urd_err err = storage_watch_open(builtin->store, &prefix, changed, queue, &queue->watch);
    if (err != URD_OK) {
        free(queue);
        return err;
    }
    *ret = queue;
    return URD_OK;
}

static urd_err enter(struct saga_builtin *builtin, struct urd_cx *cx, const char *name,
                     struct saga_builtin_queue **ret)
{
    URD_GUARD(g);
    urd_err err = URD_OK;
    if (!urd_mutex_lock(cx, &builtin->lock, g, &err)) return err;
    struct saga_builtin_queue **at = find(builtin, name);
    if (*at == NULL) err = new_queue(builtin, name, at);
    if (err == URD_OK) {
        (*at)->waiters++;
        *ret = *at;
    }
    urd_mutex_unlock(g);
    return err;
}

static void leave(struct saga_builtin *builtin, struct urd_cx *cx, struct saga_builtin_queue *queue,
                  bool pass_on)
{
    URD_GUARD(g);
    urd_err err;
    URD_MASK(m);
    urd_mask(cx, m);
    if (urd_mutex_lock(cx, &builtin->lock, g, &err)) {
        if (--queue->waiters == 0) {
            *find(builtin, queue->name) = queue->next;
            storage_watch_close(queue->watch);
            free(queue);
        } else if (pass_on) {
            urd_notify_one(&queue->notify);
        }
        urd_mutex_unlock(g);
    }
    urd_unmask(cx, m);
}

void saga_builtin_pass_on(struct saga_builtin *builtin, struct urd_cx *cx, const char *name)
{
    URD_GUARD(g);
    urd_err err;
    URD_MASK(m);
    urd_mask(cx, m);
    if (urd_mutex_lock(cx, &builtin->lock, g, &err)) {
        struct saga_builtin_queue *queue = *find(builtin, name);
        if (queue != NULL) urd_notify_one(&queue->notify);
        urd_mutex_unlock(g);
    }
    urd_unmask(cx, m);
}

void saga_builtin_withdraw(void *builtin, struct saga_dispatch *d)
{
    struct waiter *w = d->of_participant;
    (void)builtin;
    if (w == NULL) return;
    w->withdrawn = true;
    urd_notify_all(&w->queue->notify); /* it is one of them */
}

/* Is there a message?  URD_OK, URD_E_NOT_FOUND. */
static urd_err look(struct saga_builtin *builtin, struct urd_cx *cx, const char *name)
{
    struct storage_snapshot *snapshot;
    struct storage_cursor *cursor;
    struct storage_key prefix;
    struct storage_item item;
    urd_err err = storage_snapshot_begin(builtin->store, "receive", urd_cx_now(cx), &snapshot);
    if (err != URD_OK) return err;
    saga_queue_key(&prefix, name, SAGA_QUEUE_READY);
    struct storage_range range = { .prefix = &prefix };
    err = storage_snapshot_range(snapshot, &range, &cursor);
    if (err == URD_OK) {
        err = storage_cursor_next(cursor, &item);
        storage_cursor_close(cursor);
    }
    storage_snapshot_end(snapshot);
    return err;
}

urd_err saga_builtin_wait(struct saga_builtin *builtin, struct urd_cx *cx, struct saga_dispatch *d,
                          const char *name, uint64_t deadline_ns)
{
    struct waiter w = { 0 };
    urd_err err = look(builtin, cx, name);
    if (err != URD_E_NOT_FOUND) return err;
    err = enter(builtin, cx, name, &w.queue);
    if (err != URD_OK) return err;
    assert(d->of_participant == NULL);
    d->of_participant = &w;
    for (;;) {
        err = w.withdrawn ? URD_E_CLOSED : look(builtin, cx, name);
        if (err != URD_E_NOT_FOUND) break;
        err = urd_notify_wait(cx, &w.queue->notify, deadline_ns);
        if (err != URD_OK) break;
    }
    d->of_participant = NULL;
    leave(builtin, cx, w.queue, err != URD_OK);
    return err;
}
