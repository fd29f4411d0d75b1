/* saga/decide.h -- what a saga does next, and what an answer means for it.  Pure: engine, recovery,
 * simulator and tests run the same two functions.
 *
 *     saga_next()   state, time -> append this record | intend, send, undo these steps | wait
 *     saga_judge()  state, an answer -> the record it becomes, or when to ask again
 *
 * Instants are node time. */
#ifndef SAGA_DECIDE_H
#define SAGA_DECIDE_H

#include "saga/machine.h"
#include "saga/participant.h"

#define SAGA_NEVER_NS INT64_MAX

enum saga_next_kind {
    SAGA_NEXT_WAIT,   /* for an answer, a verb, or until_ns */
    SAGA_NEXT_RECORD, /* append `record`, and ask again */
    SAGA_NEXT_INTEND, /* append (Barrier, if `barrier`, and) an Intent of `steps`, and ask again */
    SAGA_NEXT_SEND,   /* once all records are durable: send the do of `steps` */
    SAGA_NEXT_UNDO,   /* likewise their undo */
    SAGA_NEXT_EXPIRE, /* the run timeouts of `steps` are over: judge them unknown */
    SAGA_NEXT_END     /* it has ended */
};

struct saga_decision {
    enum saga_next_kind kind;
    int64_t until_ns;      /* WAIT: ask again then; SAGA_NEVER_NS: only when something happened */
    bool barrier;          /* INTEND */
    uint32_t batch;        /* INTEND */
    const uint32_t *steps; /* borrowed until the next call */
    uint32_t steps_len;
    struct saga_record record; /* RECORD; borrows from the saga */
};

/* Decide.  Changes nothing but the memory of the list. */
void saga_next(struct saga *saga, int64_t now_ns, struct saga_decision *ret);

/* Step @step is being sent (SEND, UNDO). */
void saga_sent(struct saga *saga, uint32_t step);

/* What @answer to the @direction of @step means; its dispatch is over (unless the answer came by
 * another way, @by_completion, and a dispatch is still running).  @chance is 32 random bits, for
 * jitter.
 * True: *@ret is the record to append, borrowing from @answer.  False: nothing to record (it is
 * asked again in its time, is late, or goes on elsewhere). */
URD_MUST_USE bool saga_judge(struct saga *saga, uint32_t step, enum saga_direction direction,
                             const struct saga_answer *answer, bool by_completion, int64_t now_ns,
                             uint32_t chance, struct saga_record *ret);

/* Until when the dispatch just sent may wait to be taken. */
int64_t saga_take_until(const struct saga *saga, uint32_t step);

/* Delay before attempt @tries + 1 of a step: first·2^(tries-1), capped, jittered down by at most
 * half. */
int64_t saga_backoff_ns(const struct saga_step *step, uint32_t tries, uint32_t chance);

#endif
