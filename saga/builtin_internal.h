/* saga/builtin_internal.h -- what the files of the built-in kinds share. */
#ifndef SAGA_BUILTIN_INTERNAL_H
#define SAGA_BUILTIN_INTERNAL_H

#include "saga/builtin_rows.h"
#include "storage/guard.h"

/* A step's input, decoded.  Which fields count is said beside each; the others are zero. */
struct saga_builtin_input {
    const char *name; /* quantity, queue, lease; Abort: NULL: all */
    uint64_t amount;  /* Reserve */
    uint64_t ttl_ms;  /* Acquire, Renew */
    uint64_t token;   /* Renew, Release; 0: the saga's own */
    char *message;    /* Send: JSON text */
    json_t *root;     /* owns `name` */
};

/* Decode @text for a do of @kind.  @errmsg gets a sentence.
 * Errors: URD_E_INVALID, URD_E_TOO_BIG, URD_E_UNSUPPORTED, URD_E_NOMEM. */
URD_MUST_USE urd_err saga_builtin_input_decode(enum saga_kind kind, const char *text,
                                               struct saga_builtin_input *ret, char *errmsg,
                                               size_t errmsg_len);
void saga_builtin_input_done(struct saga_builtin_input *input);

/* One do or undo, as an operation of the store.  It may be run more than once: the answer is that
 * of the last time. */
struct saga_builtin_op {
    enum saga_kind kind;
    uint8_t saga[SAGA_ID_BYTES];
    uint32_t step;
    int64_t now_ns;
    struct storage_guard_request guard;
    struct saga_builtin_input input; /* of a do */
    struct saga_answer answer;       /* kind SAGA_ANSWER_COUNT: none yet */
};

/* What a kind answers.  A fail is said before anything is written; a retry refuses the operation,
 * so that what it wrote is dropped. */
URD_MUST_USE urd_err saga_builtin_done_with(struct saga_builtin_op *op, json_t *result);
__attribute__((format(printf, 2, 3))) URD_MUST_USE urd_err
saga_builtin_fail(struct saga_builtin_op *op, const char *format, ...);
__attribute__((format(printf, 2, 3))) URD_MUST_USE urd_err
saga_builtin_retry(struct saga_builtin_op *op, const char *format, ...);

/* The doing of each kind. */
typedef urd_err (*saga_builtin_fn)(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_reserve(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_commit(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_abort(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_send(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_receive(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_acquire(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_renew(struct storage_tx *tx, struct saga_builtin_op *op);
URD_MUST_USE urd_err saga_builtin_release(struct storage_tx *tx, struct saga_builtin_op *op);

/* --- what a saga holds ------------------------------------------------------------------------ */

URD_MUST_USE urd_err saga_held_put(struct storage_tx *tx, const struct saga_builtin_op *op,
                                   enum saga_held_kind kind, const char *name, uint64_t number);

/* Visit all that @saga holds, in order of steps; @visit may delete the row it is given. */
typedef urd_err (*saga_held_fn)(struct storage_tx *tx, void *arg, uint32_t step,
                                const struct saga_held *held);
URD_MUST_USE urd_err saga_held_each(struct storage_tx *tx, const uint8_t saga[SAGA_ID_BYTES],
                                    saga_held_fn visit, void *arg);

/* Settle one: what is held of a quantity is consumed or given back. */
URD_MUST_USE urd_err saga_amount_settle(struct storage_tx *tx, const struct saga_held *held,
                                        bool consume);
/* A message becomes visible, first or again, or is removed. */
URD_MUST_USE urd_err saga_message_show(struct storage_tx *tx, const struct saga_held *held);
URD_MUST_USE urd_err saga_message_remove(struct storage_tx *tx, const struct saga_held *held);
/* Release a lease that may be lost already. */
URD_MUST_USE urd_err saga_lease_give_back(struct storage_tx *tx, const struct saga_held *held);

/* --- waiting ---------------------------------------------------------------------------------- */

/* Wait until queue @name has a message, @d is withdrawn (URD_E_CLOSED), or @deadline_ns
 * (URD_E_TIMEOUT).  Errors besides: URD_E_CANCELLED; URD_E_FULL too many queues are waited on;
 * storage_snapshot_begin()'s. */
URD_MUST_USE urd_err saga_builtin_wait(struct saga_builtin *builtin, struct urd_cx *cx,
                                       struct saga_dispatch *d, const char *name,
                                       uint64_t deadline_ns);
/* A message of @name was taken, or nobody took the one that a waiter was woken for: the next waiter
 * looks. */
void saga_builtin_pass_on(struct saga_builtin *builtin, struct urd_cx *cx, const char *name);
void saga_builtin_withdraw(void *builtin, struct saga_dispatch *d);

#endif
