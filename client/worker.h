/* client/worker.h -- answer the steps of sagas.
 *
 *     static void hold(struct urd_cx *cx, void *arg, const struct urd_client_worker_step *step,
 *                      struct urd_client_worker_answer *answer)
 *     {
 *         ... do it, exactly once under step->effect_key ...
 *         urd_client_worker_done(answer, "{\"id\":7}");
 *     }
 *
 * A worker keeps a guard for every effect key, in a store of its own on disk: durable as started
 * before the handler runs, as done or failed after it.  A duplicate gets the first answer; an undo
 * that comes before its do is remembered and the late do refused; an older epoch is refused.  A
 * retry that finds a handler started and nobody running it (the worker was killed) runs it again
 * only when it was declared idempotent, else answers unknown.  So: exact where the effect is
 * idempotent under the key. */
#ifndef CLIENT_WORKER_H
#define CLIENT_WORKER_H

#include "client/client.h"

enum urd_client_worker_direction { URD_WORKER_DO, URD_WORKER_UNDO };

/* What a handler is asked; valid for the call. */
struct urd_client_worker_step {
    const char *saga; /* id */
    const char *step; /* name */
    const char *action;
    enum urd_client_worker_direction direction;
    uint32_t attempt;          /* from 1 */
    const char *effect_key;    /* the same on every retry */
    const char *do_effect_key; /* on an undo: the key of what is undone; else NULL */
    uint64_t epoch;            /* of the owner: a fencing token, which never falls */
    const char *input; /* JSON text; on an undo {"input":…,"result":…}, result null when unknown */
};

/* A handler settles its answer by exactly one of these; returning without is 'unknown'.  Text is
 * copied. */
struct urd_client_worker_answer;
/* The effect is there; @result_json is its result ("null" when NULL).  What is no JSON, or larger
 * than 1 MiB, cannot be kept: that is 'unknown'. */
void urd_client_worker_done(struct urd_client_worker_answer *answer, const char *result_json);
/* The author's word that nothing was done. */
void urd_client_worker_fail(struct urd_client_worker_answer *answer, const char *reason);
/* Not now: ask again after @after_ns (0: by the step's policy). */
void urd_client_worker_retry(struct urd_client_worker_answer *answer, uint64_t after_ns);
/* It may have happened. */
void urd_client_worker_unknown(struct urd_client_worker_answer *answer, const char *reason);
/* It goes on elsewhere; somebody will urd_client_complete() it by its effect key. */
void urd_client_worker_later(struct urd_client_worker_answer *answer);

/* Runs as a task of its own, on any worker thread; may block; cancelled when the worker stops and
 * its drain is over. */
typedef void (*urd_client_worker_fn)(struct urd_cx *cx, void *arg,
                                     const struct urd_client_worker_step *step,
                                     struct urd_client_worker_answer *answer);

struct urd_client_worker_options {
    const char *name;        /* shown by the node; NULL: host and process id */
    const char *effects_dir; /* where its guards live; required; one process at a time */
    uint32_t concurrency;    /* handlers at once; 0: 16 */
    uint64_t guard_keep_ns;  /* a guard stays this long after its saga ended; 0: 1 h */
    uint64_t drain_ns; /* what running handlers have after urd_client_worker_stop(); 0: 10 s */
    void (*on_answered)(void *arg,
                        const char *effect_key); /* an answer was handed to the node; may be NULL */
    void *on_answered_arg;
};

struct urd_client_worker;

/* @client is borrowed and must outlive the worker.  Opens the guard store.
 * Errors besides: URD_E_BUSY another process has @effects_dir; URD_E_CONFIG. */
URD_MUST_USE urd_err urd_client_worker_open(struct urd_cx *cx, struct urd_client *client,
                                            const struct urd_client_worker_options *options,
                                            struct urd_client_worker **ret, char *errmsg);
/* Answer @action by @fn(@arg).  Before urd_client_worker_run() only. */
URD_MUST_USE urd_err urd_client_worker_on(struct urd_client_worker *worker, const char *action,
                                          bool idempotent, urd_client_worker_fn fn, void *arg);
/* Once: take and answer steps until urd_client_worker_stop(), then drain: take no more, let running
 * handlers end within drain_ns, hand in their answers, return URD_OK.  A cancel does not drain:
 * handlers are cancelled, their steps are asked for again later.  Reconnects by itself; learns the
 * other nodes from the one it was told, and takes from all. Errors: URD_E_CANCELLED; what makes it
 * impossible: URD_E_DENIED, URD_E_IO, … */
URD_MUST_USE urd_err urd_client_worker_run(struct urd_cx *cx, struct urd_client_worker *worker,
                                           char *errmsg);
/* End urd_client_worker_run(), also before it has begun.  From any task. */
void urd_client_worker_stop(struct urd_client_worker *worker);
/* NULL is allowed; not while running. */
void urd_client_worker_close(struct urd_cx *cx, struct urd_client_worker *worker);

#endif
