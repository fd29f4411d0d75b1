/* saga/builtin.h -- what the node does for a step that names no action: quantities, queues, leases.
 *
 * Built-in kinds are a participant like any other, behind the same table of functions.  What sets
 * them apart: the change and the guard of its effect key are one operation of the node's store, so
 * an effect happens exactly once, a retry gets the first answer, an undo that comes before its do
 * is remembered and the late do is refused, and a fail is certain.
 *
 *     Reserve  {"quantity":NAME,"amount":N}      holds N; not enough: retry while others may give
 *                                                back, fail when it can never fit
 *              -> {"quantity":NAME,"amount":N}   undone: given back
 *     Commit   {}                                makes all holds of the saga permanent
 *              -> {"holds":N}
 *     Abort    {"quantity":NAME}, or {}: all     gives the saga's holds back
 *              -> {"holds":N}
 *     Send     {"queue":NAME,"message":JSON}     appends; hidden until the saga has committed
 *              -> {"queue":NAME,"position":N}    undone: removed
 *     Receive  {"queue":NAME}                    takes the first message, waits for one; no other
 *              -> the message                    gets it.  Undone: put back in its place
 *     Acquire  {"lease":NAME,"ttl_ms":N}         held by another: retry; by this saga: fail
 *              -> {"lease":NAME,"token":N,       a token greater than any before
 *                  "until":TIME}                 undone: released, if it still is this one
 *     Renew    {"lease":NAME,"ttl_ms":N}         moves the end, never back; lost: fail.  With
 *              -> as Acquire                     "token":N that lease, else the saga's own
 *     Release  {"lease":NAME}, "token" likewise  gives it back
 *              -> {"released":BOOL}              false: it was lost before
 *
 * A hold and a hidden or taken message live no longer than their saga: saga_builtin_settle() makes
 * them permanent, visible and gone when it commits.  Of a saga that went back its undos have
 * settled all; what its author let stay is given back, removed and gone.  A lease lives until it is
 * released or its time is up, whatever becomes of the saga.
 *
 * Receive of {"signal":NAME} is the engine's own affair and fails here.  The other eight kinds have
 * no built-in form. */
#ifndef SAGA_BUILTIN_H
#define SAGA_BUILTIN_H

#include <jansson.h>

#include "runtime/sync.h"
#include "saga/participant.h"
#include "storage/committer.h"

#define SAGA_AMOUNT_MAX         9007199254740991ull /* 2^53 - 1: exact in every JSON reader */
#define SAGA_MESSAGE_BYTES_MAX  SAGA_RESULT_BYTES_MAX
#define SAGA_QUEUE_MESSAGES_MAX 1000000u /* in one queue, hidden and taken ones too */

/* The participant, in the caller's memory; its fields are private. */
struct saga_builtin {
    struct storage *store;
    struct storage_committer *committer;
    int64_t (*now)(struct urd_cx *cx, const void *arg);
    const void *now_arg;
    struct urd_mutex lock;
    struct saga_builtin_queue *waited; /* queues that a Receive waits on */
};

/* Begin.  @store and its @committer are borrowed until saga_builtin_done(); @now(@now_arg) is node
 * time, for leases. */
void saga_builtin_init(struct saga_builtin *builtin, struct storage *store,
                       struct storage_committer *committer,
                       int64_t (*now)(struct urd_cx *cx, const void *arg), const void *now_arg);
/* No dispatch is under way. */
void saga_builtin_done(struct saga_builtin *builtin);

/* impl: a struct saga_builtin. */
extern const struct saga_participant_ops saga_builtin_ops;

/* The contract of saga_participant_ops.dispatch: blocks for saga_dispatch_take() and a group
 * commit; a Receive until there is a message, at most until d->take_until_ns (not taken) or for
 * d->run_timeout_ns (retry).  A Receive waits before it is taken, so waiting costs no attempt. */
URD_MUST_USE urd_err saga_builtin_dispatch(struct saga_builtin *builtin, struct urd_cx *cx,
                                           struct saga_dispatch *d, struct saga_answer *ret);

/* Saga @id ends in this very operation: call it beside the append of Committed (@committed) or
 * Compensated, so that there is no moment between.  One look into an empty range for a saga without
 * built-in steps.  What is damaged is left as it lies, for saga_builtin_verify() to tell: an end is
 * not held up by it.  Errors: storage_tx_put()'s. */
URD_MUST_USE urd_err saga_builtin_settle(struct storage_tx *tx, const uint8_t id[SAGA_ID_BYTES],
                                         bool committed);

/* Forget the guards of saga @id; when it is removed from the store, `guard.keep` after its end at
 * the earliest.  Errors: storage_tx_delete()'s. */
URD_MUST_USE urd_err saga_builtin_forget(struct storage_tx *tx, const uint8_t id[SAGA_ID_BYTES]);

/* Whether @input (borrowed; NULL: null) can be that of a built-in @kind, for the door: a typo is
 * refused at submit and not when the step comes.  A reference may stand for any value.  @errmsg
 * (may be NULL) gets a sentence.  Errors: URD_E_INVALID, URD_E_TOO_BIG a message,
 * URD_E_UNSUPPORTED @kind has no built-in form. */
URD_MUST_USE urd_err saga_builtin_check(enum saga_kind kind, const json_t *input, char *errmsg,
                                        size_t errmsg_len);

/* Quantity @name is @amount (0 .. SAGA_AMOUNT_MAX) from now on, held and consumed parts included.
 * Blocks for one group commit.  Who may is the node's affair.
 * Errors: URD_E_INVALID name or amount; URD_E_STATE more is held and consumed already;
 * storage_commit()'s. */
URD_MUST_USE urd_err saga_builtin_define_quantity(struct urd_cx *cx,
                                                  struct storage_committer *committer,
                                                  const char *name, uint64_t amount);

struct saga_quantity {
    uint64_t amount;   /* all there is */
    uint64_t held;     /* by open sagas */
    uint64_t consumed; /* for good; held + consumed <= amount */
};
/* Errors: URD_E_NOT_FOUND, URD_E_INVALID, storage_snapshot_get()'s. */
URD_MUST_USE urd_err saga_builtin_quantity(struct storage_snapshot *snapshot, const char *name,
                                           struct saga_quantity *ret);

struct saga_builtin_summary {
    uint64_t quantities, queues, messages, open; /* open: holds, messages, leases of open sagas */
    uint64_t breaches;
};
/* Hold the stored quantities and queues against S14: what is held is what open sagas hold, held +
 * consumed <= quantity; each message is there once: visible, hidden by one saga, or taken by one.
 * @report (may be NULL) gets a sentence a breach.  A long reader; uses memory for what is open.
 * Errors: URD_E_NOMEM, URD_E_IO. */
URD_MUST_USE urd_err saga_builtin_verify(struct storage_snapshot *snapshot,
                                         void (*report)(void *arg, const char *sentence), void *arg,
                                         struct saga_builtin_summary *ret);

#endif
