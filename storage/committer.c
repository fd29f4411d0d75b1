/* One task, round and round:
 *
 *     take a group off the queue -> execute it on a pool thread -> settle what it decided
 *
 * Executing is begin, run each operation, commit.  Three things can make it more than that:
 *
 *     the transaction is full     the group is cut there; the rest goes back to the queue's head
 *     the store is full           the group is run again, and only endings may write, into the
 * reserve the commit failed           every operation gets that answer, the refused ones too: they
 * were decided on a state that never was */
#include "storage/committer.h"

#include <assert.h>
#include <stdlib.h>

#include "runtime/blocking.h"
#include "storage/kv_internal.h"
#include "storage/spin_internal.h"

#define WATCHDOG_EVERY_NS 1000000000ull

enum op_state { OP_IDLE, OP_QUEUED, OP_TAKEN };

struct op_list {
    struct storage_op *head, *tail;
    uint32_t count;
};

struct storage_committer {
    struct storage *store;
    uint32_t group_ops_max, queue_ops_max;
    struct urd_notify wake;

    struct storage_spin lock; /* guards what follows, up to the blank line */
    struct op_list queue;
    bool closed, failed;
    struct storage_committer_stats stats;

    /* The committer's task's, and lent to the pool thread while it waits. */
    struct op_list group;
    struct op_list cut; /* did not fit this transaction */
    urd_err outcome;
    uint64_t now_ns, watchdog_ns;
};

urd_err storage_committer_new(struct storage *store,
                              const struct storage_committer_options *options,
                              struct storage_committer **ret)
{
    struct storage_committer *c = calloc(1, sizeof *c);
    if (c == NULL) return URD_E_NOMEM;
    c->store = store;
    c->wake = URD_NOTIFY_INIT;
    c->group_ops_max = options != NULL && options->group_ops_max != 0
                           ? options->group_ops_max
                           : STORAGE_GROUP_OPS_MAX_DEFAULT;
    c->queue_ops_max = options != NULL && options->queue_ops_max != 0
                           ? options->queue_ops_max
                           : STORAGE_QUEUE_OPS_MAX_DEFAULT;
    *ret = c;
    return URD_OK;
}

void storage_committer_free(struct storage_committer *committer)
{
    if (committer == NULL) return;
    assert(committer->queue.count == 0 && committer->group.count == 0);
    free(committer);
}

/* --- lists ----------------------------------------------------------------------------------- */

static void list_append(struct op_list *list, struct storage_op *op)
{
    op->next = NULL;
    op->prev = list->tail;
    if (op->prev != NULL)
        op->prev->next = op;
    else
        list->head = op;
    list->tail = op;
    list->count++;
}

static void list_remove(struct op_list *list, struct storage_op *op)
{
    assert(list->count > 0);
    if (op->prev != NULL)
        op->prev->next = op->next;
    else
        list->head = op->next;
    if (op->next != NULL)
        op->next->prev = op->prev;
    else
        list->tail = op->prev;
    list->count--;
}

static struct storage_op *list_pop(struct op_list *list)
{
    struct storage_op *op = list->head;
    if (op != NULL) list_remove(list, op);
    return op;
}

/* Put all of @tail behind @list; empties @tail. */
static void list_join(struct op_list *list, struct op_list *tail)
{
    if (tail->head == NULL) return;
    tail->head->prev = list->tail;
    if (list->tail != NULL)
        list->tail->next = tail->head;
    else
        list->head = tail->head;
    list->tail = tail->tail;
    list->count += tail->count;
    *tail = (struct op_list){ 0 };
}

/* --- handing in ------------------------------------------------------------------------------ */

urd_err storage_commit_submit(struct storage_committer *committer, struct storage_op *op)
{
    op->done = URD_EVENT_INIT;
    bool first = false;
    urd_err err = URD_OK;
    storage_spin_lock(&committer->lock);
    if (committer->failed)
        err = URD_E_IO;
    else if (committer->closed)
        err = URD_E_CLOSED;
    else if (committer->queue.count >= committer->queue_ops_max)
        err = URD_E_FULL;
    if (err == URD_OK) {
        first = committer->queue.count == 0;
        op->state = OP_QUEUED;
        list_append(&committer->queue, op);
    }
    storage_spin_unlock(&committer->lock);
    if (first) urd_notify_one(&committer->wake); /* behind the first it will be found anyway */
    return err;
}

bool storage_commit_withdraw(struct storage_committer *committer, struct storage_op *op)
{
    storage_spin_lock(&committer->lock);
    bool queued = op->state == OP_QUEUED;
    if (queued) {
        list_remove(&committer->queue, op);
        op->state = OP_IDLE;
    }
    storage_spin_unlock(&committer->lock);
    return queued;
}

void storage_committer_close(struct storage_committer *committer)
{
    storage_spin_lock(&committer->lock);
    committer->closed = true;
    storage_spin_unlock(&committer->lock);
    urd_notify_one(&committer->wake);
}

static urd_err commit(struct urd_cx *cx, struct storage_committer *committer, storage_op_fn run,
                      void *arg, bool ending)
{
    struct storage_op op = { .run = run, .arg = arg, .ending = ending };
    urd_err err = urd_checkpoint(cx);
    if (err == URD_OK) err = storage_commit_submit(committer, &op);
    if (err != URD_OK) return err;
    err = urd_event_wait(cx, &op.done, URD_FOREVER);
    if (err == URD_OK) return op.err;
    if (storage_commit_withdraw(committer, &op)) return err;

    URD_MASK(mask); /* taken: the outcome is coming, and what it is matters */
    urd_mask(cx, mask);
    err = urd_event_wait(cx, &op.done, URD_FOREVER);
    urd_unmask(cx, mask);
    assert(err == URD_OK);
    return op.err;
}

urd_err storage_commit(struct urd_cx *cx, struct storage_committer *committer, storage_op_fn run,
                       void *arg)
{
    return commit(cx, committer, run, arg, false);
}

urd_err storage_commit_ending(struct urd_cx *cx, struct storage_committer *committer,
                              storage_op_fn run, void *arg)
{
    return commit(cx, committer, run, arg, true);
}

/* --- executing, on a pool thread ------------------------------------------------------------- */

/* On a full store: an operation that may not use the reserve may read and refuse, but not write. */
static urd_err run_read_only(struct storage_tx *tx, void *arg)
{
    const struct storage_op *op = arg;
    uint64_t before = tx->mutations;
    urd_err err = op->run(tx, op->arg);
    return err == URD_OK && tx->mutations != before ? URD_E_STORAGE_FULL : err;
}

/* Move @op and all behind it from the group to before what was cut already. */
static void cut_at(struct storage_committer *c, struct storage_op *op)
{
    struct op_list cut = { 0 };
    for (struct storage_op *next, *at = op; at != NULL; at = next) {
        next = at->next;
        list_remove(&c->group, at);
        list_append(&cut, at);
    }
    list_join(&cut, &c->cut);
    c->cut = cut;
}

/* Run the whole group in one transaction; what @full leaves out is answered so. */
static urd_err execute_once(struct storage_committer *c, bool full)
{
    struct storage_tx *tx;
    urd_err err = storage_tx_begin(c->store, &tx);
    if (err != URD_OK) return err;
    for (struct storage_op *op = c->group.head; op != NULL; op = op->next) {
        op->err = full && !op->ending ? storage_tx_run(tx, run_read_only, op)
                                      : storage_tx_run(tx, op->run, op->arg);
        if (op->err == URD_E_TOO_BIG && storage_tx_overflowed(tx) && storage_tx_bytes(tx) != 0) {
            cut_at(c, op);
            break;
        }
    }
    return storage_tx_commit(tx, full);
}

static void execute(void *arg)
{
    struct storage_committer *c = arg;
    c->outcome = execute_once(c, false);
    if (c->outcome == URD_E_STORAGE_FULL) c->outcome = execute_once(c, true);
    if (c->now_ns - c->watchdog_ns < WATCHDOG_EVERY_NS) return;
    c->watchdog_ns = c->now_ns;
    (void)storage_readers_check(c->store, c->now_ns);
}

/* --- the task -------------------------------------------------------------------------------- */

/* Take the next group; false: nothing waits.  @ret_closed: nothing more will. */
static bool take_group(struct storage_committer *c, bool *ret_closed)
{
    storage_spin_lock(&c->lock);
    while (c->group.count < c->group_ops_max && c->queue.count > 0) {
        struct storage_op *op = list_pop(&c->queue);
        op->state = OP_TAKEN;
        list_append(&c->group, op);
    }
    *ret_closed = c->closed;
    storage_spin_unlock(&c->lock);
    return c->group.count > 0;
}

/* Put what was cut off back before what waits. */
static void put_back_cut(struct storage_committer *c)
{
    storage_spin_lock(&c->lock);
    for (struct storage_op *op = c->cut.head; op != NULL; op = op->next)
        op->state = OP_QUEUED;
    list_join(&c->cut, &c->queue);
    c->queue = c->cut;
    c->cut = (struct op_list){ 0 };
    storage_spin_unlock(&c->lock);
}

/* Tell its owner; nothing of @op is touched afterwards. */
static void settle(struct storage_op *op, urd_err err)
{
    op->err = err;
    if (op->settled != NULL)
        op->settled(op);
    else
        urd_event_set(&op->done);
}

/* Before anyone is told: who hears of a failed sync finds nothing taken any more. */
static void note_group(struct storage_committer *c, uint64_t took_ns)
{
    uint64_t ops = 0, refused = 0;
    for (const struct storage_op *op = c->group.head; op != NULL; op = op->next) {
        ops += op->err == URD_OK;
        refused += op->err != URD_OK;
    }
    storage_spin_lock(&c->lock);
    c->failed = c->outcome == URD_E_IO;
    struct storage_committer_stats *stats = &c->stats;
    stats->groups++;
    stats->commit_ns += took_ns;
    if (took_ns > stats->commit_max_ns) stats->commit_max_ns = took_ns;
    if (c->group.count > stats->group_max) stats->group_max = c->group.count;
    if (c->outcome == URD_OK) {
        stats->ops += ops;
        stats->refused += refused;
    } else {
        stats->failed += c->group.count;
    }
    storage_spin_unlock(&c->lock);
}

/* Masked, so that a group once taken is executed and settled. */
static void commit_group(struct urd_cx *cx, struct storage_committer *c)
{
    URD_MASK(mask);
    urd_mask(cx, mask);
    c->now_ns = urd_cx_now(cx);
    urd_err err = urd_blocking(cx, execute, c);
    if (err != URD_OK) c->outcome = err; /* it was not run at all */
    note_group(c, urd_cx_now(cx) - c->now_ns);
    put_back_cut(c);
    struct op_list group = c->group;
    c->group = (struct op_list){ 0 };
    for (struct storage_op *op; (op = list_pop(&group)) != NULL;)
        settle(op, c->outcome == URD_OK ? op->err : c->outcome);
    urd_unmask(cx, mask);
}

/* What the disk holds is no longer known: refuse all that wait; those that come are refused
 * already. */
static void give_up(struct storage_committer *c)
{
    storage_spin_lock(&c->lock);
    struct op_list queue = c->queue;
    c->queue = (struct op_list){ 0 };
    for (struct storage_op *op = queue.head; op != NULL; op = op->next)
        op->state = OP_TAKEN;
    c->stats.failed += queue.count;
    storage_spin_unlock(&c->lock);
    for (struct storage_op *op; (op = list_pop(&queue)) != NULL;)
        settle(op, URD_E_IO);
}

urd_err storage_committer_run(struct urd_cx *cx, void *committer)
{
    struct storage_committer *c = committer;
    for (;;) {
        bool closed;
        if (take_group(c, &closed)) {
            commit_group(cx, c);
            if (c->outcome != URD_E_IO) continue;
            give_up(c);
            return URD_E_IO;
        }
        if (closed) return URD_OK;
        /* A cancelled committer takes no more, commits what it has, and goes. */
        if (urd_notify_wait(cx, &c->wake, URD_FOREVER) != URD_OK) storage_committer_close(c);
    }
}

void storage_committer_stats(struct storage_committer *committer,
                             struct storage_committer_stats *ret)
{
    storage_spin_lock(&committer->lock);
    *ret = committer->stats;
    ret->waiting = committer->queue.count;
    storage_spin_unlock(&committer->lock);
}
