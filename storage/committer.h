/* storage/committer.h -- group commit: many operations, one sync.
 *
 *     tasks --submit--> queue --up to a group--> [ begin, run each in order, commit ] --settle-->
 * tasks one urd_blocking() call
 *
 * The committer runs what waits, in order, against one open transaction, each operation seeing the
 * ones before it; one that refuses is dropped alone; then it commits once and settles them all.
 * While a group is syncing the next one gathers: no timer, no knob but the cap.  A group is
 * executed whole inside one urd_blocking() call, so LMDB's writer stays on one thread and the lab
 * can simulate it.
 *
 * The committer is the only writer of its store.  After URD_E_IO it refuses everything with
 * URD_E_IO: what the disk holds is no longer known. */
#ifndef STORAGE_COMMITTER_H
#define STORAGE_COMMITTER_H

#include "runtime/cx.h"
#include "runtime/sync.h"
#include "storage/kv.h"

#define STORAGE_GROUP_OPS_MAX_DEFAULT 1024u
#define STORAGE_QUEUE_OPS_MAX_DEFAULT 65536u

struct storage_committer;

struct storage_committer_options {
    uint32_t group_ops_max; /* operations of one commit; 0: default */
    uint32_t queue_ops_max; /* operations that may wait, more is URD_E_FULL; 0: default */
};

/* Make a committer for @store (borrowed, must outlive it).  @options may be NULL.
 * Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err storage_committer_new(struct storage *store,
                                           const struct storage_committer_options *options,
                                           struct storage_committer **ret);

/* Free it; its task has returned and nothing waits.  NULL is allowed. */
void storage_committer_free(struct storage_committer *committer);

/* The committer's task: urd_spawn(cx, scope, NULL, storage_committer_run, committer), once.  Needs
 * URD_GATE_DISK.  Runs until storage_committer_close() or a cancel; either way it commits what was
 * handed in before, refuses what comes later with URD_E_CLOSED, and returns.  Start it in a region
 * that outlives the tasks that commit.  Returns URD_OK, or URD_E_IO after a failed sync. */
urd_err storage_committer_run(struct urd_cx *cx, void *committer);

/* Take no more; returns at once.  From any task or thread. */
void storage_committer_close(struct storage_committer *committer);

/* Run @run(tx, @arg) in the next group and wait until it is durable.  Blocks.  A refusal is told
 * when what it was decided on is durable too.
 *
 * Not yet taken into a group: a cancel (or the budget's end) withdraws it, URD_E_CANCELLED /
 * URD_E_TIMEOUT, and it never runs.  Taken: the wait is masked and the answer is the outcome.
 * Errors: @run's own refusal; URD_E_FULL; URD_E_STORAGE_FULL; URD_E_IO; URD_E_CLOSED; URD_E_TOO_BIG
 * it does not fit even a group of its own; URD_E_NOMEM. */
URD_MUST_USE urd_err storage_commit(struct urd_cx *cx, struct storage_committer *committer,
                                    storage_op_fn run, void *arg);

/* As storage_commit(), for what must still be possible on a full store: deletes, undos, endings.
 * May use the reserve. */
URD_MUST_USE urd_err storage_commit_ending(struct urd_cx *cx, struct storage_committer *committer,
                                           storage_op_fn run, void *arg);

/* An operation whose owner does not wait on the spot.  The memory is the caller's, and stays put
 * until it is settled. */
struct storage_op {
    storage_op_fn run;
    void *arg;
    bool ending; /* may use the reserve */
    /* Called once by the committer's task when settled, instead of setting @done, as the last touch
     * of
     * @op; must not block.  NULL: @done is set. */
    void (*settled)(struct storage_op *op);
    struct urd_event done; /* made ready by storage_commit_submit(), set when settled */
    urd_err err;           /* then: URD_OK it is durable, else why not; as storage_commit() */
    /* private */
    struct storage_op *next, *prev;
    uint32_t state;
};

/* Hand @op in.  Never blocks; from any task or thread.  Operations are run in the order handed in.
 * Errors: URD_E_FULL, URD_E_CLOSED, URD_E_IO: it was not taken, and is not settled. */
URD_MUST_USE urd_err storage_commit_submit(struct storage_committer *committer,
                                           struct storage_op *op);

/* Take @op back if no group has taken it yet: true, and it neither runs nor is settled.  False: it
 * is or will be settled. */
URD_MUST_USE bool storage_commit_withdraw(struct storage_committer *committer,
                                          struct storage_op *op);

struct storage_committer_stats {
    uint64_t groups;    /* commits tried */
    uint64_t ops;       /* operations made durable */
    uint64_t refused;   /* by their own check */
    uint64_t failed;    /* by storage */
    uint64_t group_max; /* most operations in one commit */
    uint64_t commit_ns; /* spent in groups, in all: of the runtime's clock */
    uint64_t commit_max_ns;
    uint32_t waiting;
};
void storage_committer_stats(struct storage_committer *committer,
                             struct storage_committer_stats *ret);

#endif
