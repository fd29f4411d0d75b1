/* saga/machine.h -- a saga as the fold of its records.  Pure.
 *
 *     accepted -> running -> committed          running <-> paused        running <-> stuck (past
 * the accepted|running|paused -> compensating   compensating <-> paused                      pivot)
 *     compensating -> compensated               compensating <-> stuck
 *
 * saga_apply() is all there is to recovery, history, replay and the engine's own memory: whoever
 * has the records has the saga.  What is not in a record (which dispatches are in flight, when to
 * ask again) is the volatile half of `struct saga_work`: it is empty after a fold, and losing it
 * costs only that a step is asked again under its effect key. */
#ifndef SAGA_MACHINE_H
#define SAGA_MACHINE_H

#include "saga/id.h"
#include "saga/records.h"

enum saga_state {
    SAGA_ACCEPTED,
    SAGA_RUNNING,
    SAGA_PAUSED,
    SAGA_COMPENSATING,
    SAGA_STUCK,
    SAGA_HELD,
    SAGA_COMMITTED,
    SAGA_COMPENSATED,
    SAGA_STATES
};

/* "running"; "?" outside the table. */
const char *saga_state_name(enum saga_state state);
/* False, @ret untouched: no state is called @name. */
URD_MUST_USE bool saga_state_from_name(const char *name, enum saga_state *ret);
/* Whether @from may become @to. */
bool saga_state_may_follow(enum saga_state from, enum saga_state to);
/* Committed or compensated. */
bool saga_state_ended(enum saga_state state);

enum saga_phase {
    SAGA_STEP_IDLE,     /* never sent */
    SAGA_STEP_INTENDED, /* may have been sent; no result yet */
    SAGA_STEP_IS_DONE,
    SAGA_STEP_IS_FAILED,  /* nothing was done */
    SAGA_STEP_IS_UNKNOWN, /* may have happened, is not asked again */
    SAGA_STEP_PHASES
};

enum saga_undone { SAGA_NOT_UNDONE, SAGA_UNDONE, SAGA_UNDONE_BY_HAND };

/* What is known of one step. */
struct saga_work {
    /* durable */
    enum saga_phase phase;
    enum saga_undone undone;
    bool maybe;   /* an attempt was unknown: from now on only done settles it */
    bool trusted; /* a person looked and had it asked again: the next fail settles it */
    bool by_hand; /* done, on a person's word */
    uint32_t attempts, undo_attempts; /* the highest that a record told of */
    uint32_t blockers; /* steps of its batch that have to be done before it is sent */
    char *input, *compensation, *result, *error, *store; /* NULL: none (JSON: null) */
    int64_t due_ns;                                      /* its timer; 0: none */

    /* volatile: of the do while going forward, of the undo while going back */
    bool running;     /* its dispatch has not answered */
    uint32_t attempt; /* number of the dispatch last sent */
    bool taken;       /* somebody has it */
    bool taken_once;  /* somebody had it, since this fold: its binding is fixed */
    bool later;       /* it answered `later` */
    bool do_running;  /* going back: the do's dispatch has not answered yet */
    uint32_t tries;   /* answered attempts that cost one */
    int64_t again_ns; /* not to be sent before */
    int64_t until_ns; /* later: unknown from then on */
};

struct saga_signal {
    char *name, *payload;
    struct saga_signal *next;
};

struct saga {
    uint8_t id[SAGA_ID_BYTES];
    uint64_t seq; /* records applied */

    /* from Accepted */
    struct saga_document *document;
    struct saga_plan *plan;
    char *key; /* NULL: none */
    uint8_t digest[SAGA_DIGEST_BYTES];
    uint8_t *grant;
    size_t grant_len;
    int64_t accepted_ns, deadline_ns; /* deadline 0: none */

    enum saga_state state;
    enum saga_state paused_in; /* PAUSED: what goes on at a resume */
    bool backward;             /* Compensating is there */
    bool past_pivot;           /* its intent is there and it has not failed */
    bool turned;               /* something made it turn back; Compensating follows */
    bool cancel, expired;      /* asked to turn back; its deadline has passed */
    enum saga_why why;
    uint32_t why_step; /* steps_len: none */
    char *why_text;
    uint32_t stuck_step;
    char *stuck_text;
    int64_t updated_ns;
    int64_t turned_ns; /* since when it turns back: the drain budget begins */
    int64_t undo_ns;   /* since when the reserved budget is spent */

    struct saga_work *work; /* one a step */
    uint32_t batch;         /* the one being worked on */
    uint32_t barrier;       /* the newest batch that a Barrier stands before */
    uint32_t done_len;      /* steps done */
    uint32_t open_len;      /* steps intended and without result */
    uint32_t bad_len;       /* steps failed or unknown */
    uint32_t undo_at;       /* steps from here on need no more undoing */
    struct saga_signal *signals, **signals_end;
    json_t *requests; /* request id -> kind of record */

    /* volatile */
    uint32_t running_len;           /* dispatches in flight, of the direction it goes */
    uint32_t *list;                 /* steps of a decision */
    uint32_t *unlocks, *unlocks_at; /* edges by `before`: unlocks[unlocks_at[i] ..] wait for i */
};

/* An empty saga.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_new(const uint8_t id[SAGA_ID_BYTES], struct saga **ret);
/* NULL is allowed. */
void saga_free(struct saga *saga);

/* Apply @record, copying what it needs.  On an error the saga is unchanged (NOMEM: or not usable
 * any more); @errmsg (may be NULL) says what does not fit. Errors: URD_E_CORRUPT the record cannot
 * follow those before it; URD_E_NOMEM. */
URD_MUST_USE urd_err saga_apply(struct saga *saga, const struct saga_record *record, char *errmsg,
                                size_t errmsg_len);

/* After a fold: whatever was in flight may have happened. */
void saga_recovered(struct saga *saga);

/* Whether a verb with @request was applied before, and as which kind of record. */
URD_MUST_USE bool saga_request_known(const struct saga *saga, const char *request,
                                     enum saga_record_kind *ret);

/* The signal that @step, a built-in Receive, waits for; NULL: it is another sort of step. */
const char *saga_step_signal(const struct saga_step *step);

/* The batch @step is in. */
uint32_t saga_batch_of(const struct saga *saga, uint32_t step);

/* Whether @step took or may have taken effect and that has to be undone, or seen to. */
bool saga_needs_undo(const struct saga *saga, uint32_t step);

/* Step @step's result, parsed; NULL: none.  For json_decref(). */
json_t *saga_result(const struct saga *saga, uint32_t step);

/* The saga as `urd saga show --json` prints it; for json_decref().  NULL: out of memory. */
json_t *saga_json(const struct saga *saga);

#endif
