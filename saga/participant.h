/* saga/participant.h -- how the engine reaches those who carry out steps: a table of functions that
 * saga owns and node fills.
 *
 * The life of one dispatch, on a task of its own:
 *
 *     engine: intent durable -> dispatch() ──► find somebody who will do it (may wait long)
 *                                              saga_dispatch_take(cx, d, store)   <- may block
 *                                              hand it over, await the answer
 *                               ◄── the answer
 *
 * Nothing leaves the node before saga_dispatch_take() has said URD_OK: it is there that the saga
 * may have turned back meanwhile, that its capability may have been revoked, and that the step is
 * bound, durably, to the guard store that takes it.  The binding usually costs nothing: offer() is
 * asked beforehand and its answer goes into the same record as the intent.
 *
 * Answers to what is no longer waited for (a worker that was thought lost) go to
 * saga_engine_complete(): recorded, and handed to the undo. */
#ifndef SAGA_PARTICIPANT_H
#define SAGA_PARTICIPANT_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/cx.h"
#include "saga/id.h"
#include "saga/kinds.h"

#define SAGA_STORE_BYTES      64u        /* a guard store's id, with the NUL */
#define SAGA_RESULT_BYTES_MAX (1u << 20) /* a step's result, JSON text */
#define SAGA_INPUT_BYTES_MAX  (2u << 20) /* a step's resolved input, JSON text */
#define SAGA_REASON_BYTES_MAX 1024u      /* longer ones are cut */

/* What is asked.  Borrowed by the participant until dispatch() returns. */
struct saga_dispatch {
    const char *saga;      /* id, ULID text */
    const char *saga_name; /* "book-trip" */
    const char *step;      /* name */
    uint32_t step_index;
    enum saga_kind kind;
    const char *action; /* a worker's action or a URL: on an undo that of `compensate`; NULL: the
                         * built-in of the kind */
    enum saga_direction direction;
    uint32_t attempt;          /* from 1 */
    const char *effect_key;    /* the same on every retry, after any crash */
    const char *do_effect_key; /* on an undo the key of what is undone; else NULL */
    uint64_t epoch;            /* of the owner: a fencing token, never falls */
    const char *input; /* JSON text; on an undo {"input":…,"result":…}, result null when unknown */
    const char *store;   /* guard store the step is bound to: only a worker that announces this one
                          * may have it; NULL: any */
    const char *offered; /* what offer() said: one of this store takes it without a durable wait;
                          * NULL: nothing */
    const char *subject; /* whose saga it is, for fairness */
    uint8_t priority;    /* higher first */
    uint64_t take_until_ns; /* on the cx's clock: not taken by then, answer SAGA_NOT_TAKEN;
                             * URD_FOREVER: wait as long as it takes */
    uint64_t
        run_timeout_ns;   /* once taken, silence for this long (heartbeats extend it) is unknown */
    void *of_participant; /* for the participant's own use; NULL at first */
};

enum saga_answer_kind {
    SAGA_DONE,      /* the effect is there; text: its result, JSON; NULL: null */
    SAGA_FAIL,      /* the author's word that nothing was done; text: the reason */
    SAGA_RETRY,     /* not now; nothing was done by this attempt; text: the reason, may be NULL */
    SAGA_LATER,     /* it goes on elsewhere; somebody will saga_engine_complete() it */
    SAGA_UNKNOWN,   /* it may have happened; text: what is known, may be NULL */
    SAGA_NOT_TAKEN, /* it never left the node; text: why, may be NULL.  Costs no attempt */
    SAGA_ANSWER_COUNT
};

struct saga_answer {
    enum saga_answer_kind kind;
    uint64_t after_ns; /* RETRY: not before (at most the step's cap); 0: by the step's policy */
    bool certain;      /* FAIL: said of every attempt under this key, by a guard that saw them all
                        * and ran the handler once: it settles even a step that was unknown */
    char *text;        /* malloc'd; whoever receives the answer frees it */
};

struct saga_participant_ops {
    /* The guard store that would get a step of @action now, in SAGA_STORE_BYTES at @ret_store;
     * false: none is known, or @action needs none (a URL, a built-in: NULL).  A good guess saves a
     * durable wait, a bad one costs nothing that was not taken.  Never blocks; from any task on any
     * worker.
     */
    bool (*offer)(void *impl, const char *action, char *ret_store);

    /* Have @d carried out and wait for the answer.  Runs in a task of its own and may block; every
     * call that blocks may be cancelled (the node stops).  URD_OK: *@ret is the answer.  Any error
     * is an answer too: SAGA_NOT_TAKEN when saga_dispatch_take() was not yet passed, else
     * SAGA_UNKNOWN; cancelled, nothing is recorded and the step is sent again after the restart. */
    urd_err (*dispatch)(void *impl, struct urd_cx *cx, struct saga_dispatch *d,
                        struct saga_answer *ret);

    /* The saga has turned back or was paused: if @d is not taken yet, dispatch() should answer
     * SAGA_NOT_TAKEN soon.  Never blocks, called from a task of the engine while dispatch() runs,
     * on the same worker; d->of_participant may be NULL still.  May be NULL. */
    void (*withdraw)(void *impl, struct saga_dispatch *d);

    /* Saga @id (SAGA_ID_BYTES) has ended, durably: guards of it in @stores (@stores_len texts,
     * where its steps were bound) may go after `guard.keep`.  Never blocks; from a task of the
     * engine. May be NULL. */
    void (*ended)(void *impl, const uint8_t *id, const char *const *stores, uint32_t stores_len);
};

/* To be passed before @d leaves the node; @store (NULL: none) is the guard store that takes it and
 * is remembered for retries and undos.  Called from dispatch()'s own task.  Blocks when a binding
 * has to be made durable.  URD_OK: hand it over; the store of the same text is d->store from now
 * on. Errors: URD_E_CANCELLED the saga turned back, was paused, or the node stops: answer
 * SAGA_NOT_TAKEN; URD_E_REVOKED its capability was; URD_E_CONFLICT it is bound to another store,
 * try other workers; URD_E_TOO_BIG @store; storage_commit()'s. */
URD_MUST_USE urd_err saga_dispatch_take(struct urd_cx *cx, struct saga_dispatch *d,
                                        const char *store);

#endif
