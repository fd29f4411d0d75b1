/* saga/engine.h -- runs sagas to their end: log, then act.
 *
 * The engine is the only writer of the saga journal and the only caller of participants.  Each open
 * saga is a task in the engine's region, which is pinned to one worker, so that its memory needs no
 * locks; the functions below may be called from any task on any worker.
 *
 * Durable before: the answer of a submit or a verb, the dispatch of a step (its intent), a barrier,
 * the first undo, the report of an end.  show, list, history and watch read the store, so they
 * speak of durable facts only.
 *
 * All functions that take @errmsg (may be NULL) leave a sentence there on an error. */
#ifndef SAGA_ENGINE_H
#define SAGA_ENGINE_H

#include "caps/grant.h"
#include "saga/document.h"
#include "saga/machine.h"
#include "saga/participant.h"

struct storage;
struct storage_committer;
struct saga_engine;

struct saga_engine_options {
    struct storage *store;               /* borrowed; must outlive the engine */
    struct storage_committer *committer; /* of that store; its task outlives the engine's */
    const struct saga_participant_ops *participant; /* workers, HTTP: steps with an action */
    void *participant_impl;
    uint32_t sagas_max;        /* open at once, more is URD_E_FULL; 0: 100 000 */
    uint64_t retention_ns;     /* how long an ended saga can be shown; 0: 7 days */
    uint64_t key_retention_ns; /* how much longer its id, end, key and digest are known; 0: 30 d */
    uint64_t drain_ns;         /* what steps in flight have when the engine is closed; 0: 5 s */
    bool paused;               /* open every saga paused, as after a restore */
};

/* Make an engine.  @options are copied.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_engine_new(const struct saga_engine_options *options,
                                     struct saga_engine **ret);
/* NULL is allowed; its task has returned and no call is under way. */
void saga_engine_free(struct saga_engine *engine);

/* The engine's task: urd_spawn(cx, scope, NULL, saga_engine_run, engine), once.  Raises the epoch
 * durably, folds every open saga, goes on with them, and runs until saga_engine_close() or a
 * cancel. Returns URD_OK, URD_E_CANCELLED, or why it cannot go on: URD_E_IO (storage failed: the
 * node must stop and recover), URD_E_FENCED (another engine has taken the store over), URD_E_NOMEM.
 */
urd_err saga_engine_run(struct urd_cx *cx, void *engine);

/* Wait until recovery is over.  Blocks.  Errors: what saga_engine_run() returned, URD_E_CLOSED. */
URD_MUST_USE urd_err saga_engine_ready(struct urd_cx *cx, struct saga_engine *engine);

/* Take no more work, give steps in flight their drain budget, and end the engine's task.  Returns
 * at once; from any task. */
void saga_engine_close(struct saga_engine *engine);

/* --- submit ----------------------------------------------------------------------------------- */

struct saga_receipt {
    uint8_t id[SAGA_ID_BYTES];
    char id_text[SAGA_ID_TEXT_BYTES];
    bool existed; /* the key was known: this is the saga it named before */
};

/* Accept the saga in @document (JSON text) under @grant, cloned.  @key (NULL: the document's own,
 * or none) makes it idempotent per saga name.  When this returns URD_OK the saga is durable, with
 * its plan and the intents of its first batch.  Blocks for one group commit. Each step is
 * authorised like a request of its own: action `step.KIND`, resource `do/ACTION`, `http/HOST/PATH`,
 * `queue/NAME`, `quantity/NAME`, `lease/NAME`; its compensation too. Errors: URD_E_INVALID,
 * URD_E_TOO_BIG, URD_E_UNSUPPORTED the document (see saga_document_decode()); URD_E_CONFLICT the
 * key names another document; URD_E_DENIED the grant does not allow a step; URD_E_FULL;
 * URD_E_STORAGE_FULL; URD_E_CLOSED; URD_E_IO; URD_E_NOMEM; URD_E_CANCELLED and URD_E_TIMEOUT: not
 * accepted. */
URD_MUST_USE urd_err saga_engine_submit(struct urd_cx *cx, struct saga_engine *engine,
                                        const struct urd_caps_grant *grant, const char *document,
                                        size_t document_len, const char *key,
                                        struct saga_receipt *ret, char *errmsg, size_t errmsg_len);

/* --- verbs ------------------------------------------------------------------------------------ */

/* Each is durable when it returns URD_OK and idempotent under @request_id (text of 1 to
 * SAGA_KEY_BYTES_MAX bytes; NULL: not idempotent).  Block.
 * Errors common to all: URD_E_NOT_FOUND; URD_E_STATE it cannot be said in this state;
 * URD_E_INVALID; URD_E_CANCELLED, URD_E_TIMEOUT (it may take effect yet); URD_E_CLOSED; URD_E_IO.
 */

/* Turn back.  Errors besides: URD_E_PAST_PIVOT. */
URD_MUST_USE urd_err saga_engine_cancel(struct urd_cx *cx, struct saga_engine *engine,
                                        const uint8_t id[SAGA_ID_BYTES], const char *request_id);
/* Dispatch nothing, do or undo, until resumed; a cancel or the deadline ends a pause. */
URD_MUST_USE urd_err saga_engine_pause(struct urd_cx *cx, struct saga_engine *engine,
                                       const uint8_t id[SAGA_ID_BYTES], const char *request_id);
URD_MUST_USE urd_err saga_engine_resume(struct urd_cx *cx, struct saga_engine *engine,
                                        const uint8_t id[SAGA_ID_BYTES], const char *request_id);
/* Hand @json (NULL: null) to a Receive of signal @name, now or later. */
URD_MUST_USE urd_err saga_engine_signal(struct urd_cx *cx, struct saga_engine *engine,
                                        const uint8_t id[SAGA_ID_BYTES], const char *request_id,
                                        const char *name, const char *json);
/* Move a stuck saga on: @done, a person has seen to it that the step (going back: its undo) took
 * effect; else ask the participant again.  @by (may be NULL) is who says so, for the journal. */
URD_MUST_USE urd_err saga_engine_resolve(struct urd_cx *cx, struct saga_engine *engine,
                                         const uint8_t id[SAGA_ID_BYTES], const char *request_id,
                                         const char *step, bool done, const char *by);

/* Answer a step by its effect key: one that said SAGA_LATER, or one that is no longer waited for.
 * @answer's text is taken over, whatever is returned.  Durable when it returns.
 * Errors besides: URD_E_STATE the step is settled otherwise already. */
URD_MUST_USE urd_err saga_engine_complete(struct urd_cx *cx, struct saga_engine *engine,
                                          const char *effect_key, struct saga_answer *answer);
/* A step that said SAGA_LATER is still going on: its run timeout begins anew. */
URD_MUST_USE urd_err saga_engine_heartbeat(struct urd_cx *cx, struct saga_engine *engine,
                                           const char *effect_key);

/* Capabilities were revoked: @dead(@arg, grant) says whose.  Their sagas are cancelled, with why;
 * those past their pivot finish.  From its return on no *do* of theirs is taken.  Blocks. */
URD_MUST_USE urd_err saga_engine_revoked(struct urd_cx *cx, struct saga_engine *engine,
                                         bool (*dead)(void *arg,
                                                      const struct urd_caps_grant *grant),
                                         void *arg);

/* --- what there is ---------------------------------------------------------------------------- */

/* Saga @id as `urd saga show --json` prints it, for json_decref(): {"id","name","state","batches",
 * "steps":[{"name","op","state","attempts","result","error",...}],"error",...}.  Of one that ended
 * longer than its retention ago: {"id","name","state","accepted","updated","removed":true}.
 * Errors: URD_E_NOT_FOUND; URD_E_CORRUPT its journal is damaged; URD_E_NOMEM; URD_E_IO. */
URD_MUST_USE urd_err saga_engine_show(struct urd_cx *cx, struct saga_engine *engine,
                                      const uint8_t id[SAGA_ID_BYTES], json_t **ret);

/* Its journal from record @since_seq on (1: all), at most @limit (0: 1000), as an array of objects.
 */
URD_MUST_USE urd_err saga_engine_history(struct urd_cx *cx, struct saga_engine *engine,
                                         const uint8_t id[SAGA_ID_BYTES], uint64_t since_seq,
                                         uint32_t limit, json_t **ret);

/* The name of saga @id: what a capability to touch it has to allow, `saga/NAME`.  @ret has
 * SAGA_NAME_BYTES_MAX + 1 bytes. */
URD_MUST_USE urd_err saga_engine_name(struct urd_cx *cx, struct saga_engine *engine,
                                      const uint8_t id[SAGA_ID_BYTES], char *ret);

struct saga_filter {
    const char *state, *name;             /* NULL: any */
    const char *label_name, *label_value; /* NULL: any */
    int64_t since_ns;                     /* accepted at or after, wall clock; 0: any */
    uint32_t limit;                       /* 0: 100; at most 10 000 */
    /* Whether the asker may see sagas of @saga_name; NULL: all. */
    bool (*may_see)(void *arg, const char *saga_name);
    void *arg;
};
/* The newest first, as an array of {"id","name","state","accepted","updated"}. */
URD_MUST_USE urd_err saga_engine_list(struct urd_cx *cx, struct saga_engine *engine,
                                      const struct saga_filter *filter, json_t **ret);

struct saga_moment {
    enum saga_state state;
    uint64_t seq; /* of its newest durable record */
};
/* Wait until saga @id has a record past @since_seq, or @ended only: has ended or is stuck.  Blocks.
 * Returns at once when it has.  Errors: URD_E_NOT_FOUND, URD_E_TIMEOUT at @deadline_ns,
 * URD_E_CANCELLED, URD_E_CLOSED the engine stops. */
URD_MUST_USE urd_err saga_engine_wait(struct urd_cx *cx, struct saga_engine *engine,
                                      const uint8_t id[SAGA_ID_BYTES], uint64_t since_seq,
                                      bool ended_only, uint64_t deadline_ns,
                                      struct saga_moment *ret);

/* A store that was restored from a backup: raise its incarnation, so that every epoch from now on
 * is above those the lost one gave out.  On an open store that no engine runs on.  Waits for the
 * disk. Errors: storage_tx_begin()'s and storage_tx_commit()'s; URD_E_TOO_BIG after 65 535
 * restores. */
URD_MUST_USE urd_err saga_store_restored(struct storage *store);

struct saga_engine_stats {
    uint64_t epoch;
    uint32_t open;                  /* sagas that have not ended */
    uint32_t by_state[SAGA_STATES]; /* of those open */
    uint32_t quarantined;           /* open sagas whose journal is damaged: left alone, kept */
    uint32_t dispatches;            /* in flight now */
    uint64_t accepted, committed, compensated; /* since start */
};
void saga_engine_stats(struct saga_engine *engine, struct saga_engine_stats *ret);

#endif
