/* fountain/transfer/outflow.h -- a sender's books: which blocks are in memory, what of them is on
 * its way, what should go next.
 *
 * For each block that the receiver's report lists, a slot holds its bytes and its encoder.  Source
 * symbols go first, in order; then repair symbols, as many as the report says are needed beyond
 * what is still on its way and will, by the loss of late, arrive.  When every source symbol has
 * gone, a margin is added, so that the end does not wait a round trip for one missing symbol.
 *
 * What is on its way is known by packet number: a report's highest number tells which datagrams its
 * 'need' already knows of; what should have been heard of for long counts as gone.  Pure
 * bookkeeping: no I/O, no clock, no coding. */
#ifndef FOUNTAIN_TRANSFER_OUTFLOW_H
#define FOUNTAIN_TRANSFER_OUTFLOW_H

#include "fountain/codec/fountain.h"
#include "fountain/transfer/job_internal.h"
#include "fountain/transfer/layout.h"
#include "fountain/transfer/report.h"

#define URD_FOUNTAIN_OUTFLOW_RING  (1u << 17) /* datagrams on their way */
#define URD_FOUNTAIN_OUTFLOW_MARKS 256u

enum urd_fountain_slot_state {
    URD_FOUNTAIN_SLOT_FREE,
    URD_FOUNTAIN_SLOT_READING, /* a job reads and hashes it */
    URD_FOUNTAIN_SLOT_READY    /* source symbols can go */
};

struct urd_fountain_slot {
    struct urd_fountain_job job;
    enum urd_fountain_slot_state state;
    bool coding;    /* a job prepares its encoder */
    bool coded;     /* repair symbols can go */
    bool gone;      /* finished while a job had it: free when the job is back */
    bool listed;    /* by the last report */
    uint16_t stamp; /* changes with each block */
    uint32_t block, inflight, need;
    uint32_t next_source, next_repair; /* ESIs */
    struct urd_fountain_extent extent;
    uint8_t digest[32];
    uint8_t *bytes;                       /* block_symbols * T, zero-padded */
    struct urd_fountain_encoder *encoder; /* for encoder_K symbols, of bytes; or NULL */
    uint32_t encoder_K;
    const struct urd_fountain_plan *plan; /* the sender's */
};

struct urd_fountain_outflow {
    struct urd_fountain_layout layout;
    struct urd_fountain_slot *slots;
    uint32_t slots_count;
    struct urd_fountain_report report; /* the last one; needs and window */
    bool reported;
    uint32_t repair_first; /* offset of the first repair ESI beyond K */
    struct {
        uint16_t slot, stamp;
    } * ring;           /* by packet number: whose it is; slot UINT16_MAX: nobody's */
    uint64_t ring_tail; /* packet numbers below are not on their way any more */
    uint64_t ring_head; /* next packet number */
    struct {
        uint64_t number, at_ns;
    } marks[URD_FOUNTAIN_OUTFLOW_MARKS]; /* number was next at that time */
    uint32_t marks_head, marks_tail;
};

/* What to send next: @count consecutive symbols of @slot. */
struct urd_fountain_pick {
    struct urd_fountain_slot *slot;
    uint32_t esi, count;
    bool repair;
};

/* Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_outflow_init(struct urd_fountain_outflow *outflow,
                                               const struct urd_fountain_layout *layout,
                                               uint32_t slots_count, uint32_t repair_first);
void urd_fountain_outflow_done(struct urd_fountain_outflow *outflow);

/* Take a report newer than all before.  Errors: URD_E_INVALID it speaks of blocks that are not. */
URD_MUST_USE urd_err urd_fountain_outflow_report(struct urd_fountain_outflow *outflow,
                                                 const struct urd_fountain_report *report);
/* A datagram went, with a symbol of @slot (NULL: with none). */
void urd_fountain_outflow_sent(struct urd_fountain_outflow *outflow,
                               const struct urd_fountain_slot *slot, uint64_t number);
/* Remember the time; count as gone what was sent before @now_ns - @patience_ns. */
void urd_fountain_outflow_tick(struct urd_fountain_outflow *outflow, uint64_t now_ns,
                               uint64_t patience_ns);
/* A free slot for the next listed block that has none, which it is given and is then READING; NULL:
 * nothing to open, no slot, or enough are read ahead. */
struct urd_fountain_slot *urd_fountain_outflow_open(struct urd_fountain_outflow *outflow);
/* The job that read a slot is back. */
void urd_fountain_outflow_ready(struct urd_fountain_slot *slot);
/* The job that prepared a slot's encoder is back. */
void urd_fountain_outflow_coded(struct urd_fountain_slot *slot);
/* A slot that should be given an encoder, when loss is @p; NULL: none. */
struct urd_fountain_slot *urd_fountain_outflow_wants_code(struct urd_fountain_outflow *outflow,
                                                          double p);
/* What to send next, at most @max symbols, when loss is @p; false: nothing now.  The pick is taken:
 * what it names is counted as gone out with urd_fountain_outflow_sent(). */
URD_MUST_USE bool urd_fountain_outflow_pick(struct urd_fountain_outflow *outflow, double p,
                                            uint32_t max, struct urd_fountain_pick *ret);

#endif
