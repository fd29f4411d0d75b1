/* saga/engine_internal.h -- what the files of the engine share.
 *
 *     any worker                        the engine's worker (one, so that nothing here is locked)
 *     ----------                        ---------------------------------------------------------
 *     submit: commit, then ──┐          front ──► runs (one task an open saga) ──► flights (one
 * task verbs, waits ──────────┴─ inbox ──►  │          ▲   notes: answers, requests     a dispatch)
 *     show, list: the store                └──────────┘
 *
 * A note is something that happened to a saga; its task takes all that wait, decides, makes durable
 * what has to be, and only then acts. */
#ifndef SAGA_ENGINE_INTERNAL_H
#define SAGA_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "runtime/channel.h"
#include "runtime/region.h"
#include "runtime/sync.h"
#include "saga/builtin.h"
#include "saga/decide.h"
#include "saga/engine.h"
#include "saga/header.h"

#define SAGA_RUNS_DEFAULT     100000u
#define SAGA_BUCKETS          4096u
#define SAGA_INBOX_ITEMS      4096u
#define SAGA_DRAIN_NS_DEFAULT 5000000000ull
#define SAGA_DAY_NS           86400000000000ull
/* How long a record that nothing waits for may ride along before it is made durable by itself. */
#define SAGA_RIDE_NS 10000000
/* Bytes of intents in one record, and in one commit. */
#define SAGA_INTENT_BYTES (256u << 10)
#define SAGA_COMMIT_BYTES (4u << 20)
#define SAGA_SIGNALS_MAX  10000u

/* --- what is asked of a saga ------------------------------------------------------------------ */

enum saga_ask {
    SAGA_ASK_CANCEL,
    SAGA_ASK_PAUSE,
    SAGA_ASK_RESUME,
    SAGA_ASK_SIGNAL,
    SAGA_ASK_RESOLVE,
    SAGA_ASK_COMPLETE,
    SAGA_ASK_HEARTBEAT,
    SAGA_ASK_WAIT,
    SAGA_ASK_REVOKED
};

/* A request on its way to a saga and back; two hold it, and either may go first. */
struct saga_request {
    atomic_uint holders;
    atomic_bool abandoned; /* nobody waits any more */
    enum saga_ask ask;
    uint8_t id[SAGA_ID_BYTES];
    char *request; /* request id; NULL: none */
    char *text;    /* signal: name; resolve: step; complete: result or reason */
    char *json;    /* signal: payload; resolve: by whom */
    bool done;     /* resolve */
    uint32_t step;
    enum saga_direction direction;
    struct saga_answer answer; /* complete; its text is `text` */
    uint64_t since_seq;        /* wait */
    bool ended_only;
    bool (*dead)(void *arg, const struct urd_caps_grant *grant); /* revoked */
    void *dead_arg;

    struct urd_event answered;
    urd_err err; /* then */
    struct saga_moment moment;
    struct saga_request *next;
};
URD_MUST_USE urd_err saga_request_new(enum saga_ask ask, struct saga_request **ret);
void saga_request_release(struct saga_request *request);
/* Answer and let go.  On the engine's worker. */
void saga_request_answer(struct saga_request *request, urd_err err);

/* --- what happened to a saga ------------------------------------------------------------------ */

enum saga_note_kind { SAGA_NOTE_ANSWER, SAGA_NOTE_BIND, SAGA_NOTE_REQUEST, SAGA_NOTE_REVOKED };

struct saga_flight;
struct saga_note {
    enum saga_note_kind kind;
    struct saga_flight *flight;   /* answer, bind */
    struct saga_request *request; /* request */
    struct saga_note *next;
};

/* A dispatch in the air: a task below the saga's. */
struct saga_flight {
    struct saga_dispatch d; /* first: the participant is given this */
    struct saga_run *run;
    const struct saga_participant_ops *ops;
    void *impl;
    char id_text[SAGA_ID_TEXT_BYTES];
    char effect_key[SAGA_EFFECT_KEY_BYTES], do_effect_key[SAGA_EFFECT_KEY_BYTES];
    char store[SAGA_STORE_BYTES], offered[SAGA_STORE_BYTES];
    char *input;
    bool taken, landed, withdrawn;
    struct saga_answer answer;
    bool dropped; /* cancelled with the engine: not an answer */
    struct saga_note note;

    struct saga_note bind_note;
    char bind_to[SAGA_STORE_BYTES];
    struct urd_event bound;
    urd_err bind_err;
    bool binding;

    struct saga_flight *prev, *next; /* of the run */
};

/* --- a saga being run ------------------------------------------------------------------------- */

struct saga_encoded {
    uint8_t kind;
    uint8_t *bytes;
    size_t len;
};

struct saga_run {
    struct saga_engine *engine;
    struct saga *saga;
    struct urd_caps_grant *grant;
    struct saga_run *next;   /* in its bucket */
    struct urd_scope *scope; /* of its flights */

    struct saga_encoded *records; /* applied, not yet durable */
    uint32_t records_len, records_room;
    size_t records_bytes;
    int64_t ride_until_ns; /* node time by which they are made durable; SAGA_NEVER_NS: none waits */
    bool urgent;           /* somebody waits for them */
    uint64_t lsn;          /* of the newest durable record */
    uint64_t durable_seq;
    enum saga_state durable_state;

    struct saga_note *notes, **notes_end;
    struct saga_request *pending; /* to be answered when what they caused is durable */
    struct saga_request *waiters;
    struct saga_flight *flights;
    struct urd_notify notify;
    bool revoked, stopped;
    uint32_t signals_len;
};

struct saga_engine {
    struct saga_engine_options options;
    struct saga_builtin builtin;
    struct urd_channel *inbox;
    struct urd_event ready;
    urd_err ready_err;
    atomic_bool closing;
    atomic_int failed;   /* urd_err: why it cannot go on; URD_OK */
    atomic_uint submits; /* under way */
    atomic_uint open;
    atomic_uint by_state[SAGA_STATES];
    atomic_uint quarantined, flights;
    _Atomic uint64_t accepted, committed, compensated;

    /* fixed once it is ready */
    uint64_t epoch, fence;
    int64_t base_wall_ns;
    uint64_t base_mono_ns;

    /* the engine's worker's */
    struct saga_run *buckets[SAGA_BUCKETS];
    struct urd_scope *scope;
    uint32_t runs;
    struct urd_notify idle; /* a run has gone */
};

/* An item of the inbox; one of them, or neither: look about. */
struct saga_inbox_item {
    struct saga_run *run;
    struct saga_request *request;
};

/* Where a saga is found. */
static inline uint32_t saga_bucket(const uint8_t id[SAGA_ID_BYTES])
{
    return ((uint32_t)id[14] << 8 | id[15]) % SAGA_BUCKETS; /* its chance, not its time */
}

int64_t saga_engine_now(struct urd_cx *cx, const struct saga_engine *engine);
/* A deadline of node time on the cx's clock. */
uint64_t saga_engine_mono(const struct saga_engine *engine, int64_t at_ns);
/* The engine cannot go on.  From any task. */
void saga_engine_fail(struct saga_engine *engine, urd_err err);

/* --- engine_run.c ----------------------------------------------------------------------------- */

URD_MUST_USE urd_err saga_run_new(struct saga_engine *engine, struct saga *saga,
                                  struct urd_caps_grant *grant, struct saga_run **ret);
void saga_run_free(struct saga_run *run);
/* Apply @record and keep it to be made durable. */
URD_MUST_USE urd_err saga_run_append(struct saga_run *run, const struct saga_record *record);
/* Carry out an INTEND decision: resolve inputs, append Barrier and Intents, or what went wrong. */
URD_MUST_USE urd_err saga_run_intend(struct saga_run *run, const struct saga_decision *decision,
                                     int64_t now_ns);
/* The saga's task. */
urd_err saga_run_task(struct urd_cx *cx, void *run);
void saga_run_note(struct saga_run *run, struct saga_note *note);

/* --- engine_flight.c -------------------------------------------------------------------------- */

/* Send the do or undo of @step. */
URD_MUST_USE urd_err saga_flight_send(struct urd_cx *cx, struct saga_run *run, uint32_t step,
                                      enum saga_direction direction);
void saga_flight_free(struct saga_flight *flight);
/* Make an answer one that a saga can keep: a result is JSON and not too long (else the outcome is
 * unknown), a reason is cut. */
void saga_answer_tame(struct saga_answer *answer);
/* Ask participants to give back what nobody took and nobody may take any more. */
void saga_flights_withdraw(struct saga_run *run);

/* --- engine_verbs.c --------------------------------------------------------------------------- */

/* Apply a request to an open saga.  Answers it, or keeps it until it is durable. */
urd_err saga_run_request(struct urd_cx *cx, struct saga_run *run, struct saga_request *request);
/* After a commit: answer who waited for it. */
void saga_run_answer(struct saga_run *run);
void saga_engine_moment(const struct saga_run *run, struct saga_moment *ret);

/* --- engine_read.c ---------------------------------------------------------------------------- */

/* Where a saga that is not open stands.  Errors: URD_E_NOT_FOUND; URD_E_CORRUPT it ought to be
 * open: it is quarantined. */
URD_MUST_USE urd_err saga_engine_look(struct urd_cx *cx, struct saga_engine *engine,
                                      const uint8_t id[SAGA_ID_BYTES], struct saga_moment *ret);

/* --- engine_store.c --------------------------------------------------------------------------- */

/* Make a run's records durable.  Blocks; tries again while the store is full.  Errors: those after
 * which the engine cannot go on; URD_E_CANCELLED. */
URD_MUST_USE urd_err saga_run_commit(struct urd_cx *cx, struct saga_run *run);
/* Make a new saga durable: its records, its key.  @ret_existing gets the id its key named before,
 * and true is in *@ret_existed. */
URD_MUST_USE urd_err saga_run_commit_first(struct urd_cx *cx, struct saga_run *run,
                                           bool *ret_existed, uint8_t ret_existing[SAGA_ID_BYTES]);
/* Raise the epoch. */
URD_MUST_USE urd_err saga_engine_raise(struct urd_cx *cx, struct saga_engine *engine);

/* --- sweep.c ---------------------------------------------------------------------------------- */

/* Remove what ended long ago, until cancelled. */
urd_err saga_sweep_task(struct urd_cx *cx, void *engine);

/* --- recovery.c ------------------------------------------------------------------------------- */

/* Fold every open saga and hand each to @found, which takes it over.  What is damaged is counted
 * and left.  Also finds the newest instant of the journal. */
URD_MUST_USE urd_err saga_recover(struct urd_cx *cx, struct saga_engine *engine,
                                  urd_err (*found)(void *arg, struct saga *saga,
                                                   const struct saga_header *header),
                                  void *arg);
URD_MUST_USE urd_err saga_last_instant(struct urd_cx *cx, struct saga_engine *engine,
                                       int64_t *ret_ns);

#endif
