/* saga/records.h -- the records of the saga journal, typed: what happened to a saga, in order.
 *
 * The state of a saga is the fold of its records and nothing else (saga/machine.h).  This is the
 * one decoder of their payloads; storage has checked length and checksum before. */
#ifndef SAGA_RECORDS_H
#define SAGA_RECORDS_H

#include "saga/plan.h"

/* The numbers are the cases of journal.proto and the kinds in the store. */
enum saga_record_kind {
    SAGA_ACCEPTED_RECORD = 2,
    SAGA_INTENT = 3,
    SAGA_STEP_DONE = 4,
    SAGA_STEP_FAILED = 5,
    SAGA_STEP_UNKNOWN = 6,
    SAGA_BARRIER = 7,
    SAGA_SIGNALLED = 8,
    SAGA_TIMER_SET = 9,
    SAGA_TIMER_FIRED = 10,
    SAGA_CANCEL_REQUESTED = 11,
    SAGA_PAUSED_RECORD = 12,
    SAGA_RESUMED = 13,
    SAGA_COMPENSATING_RECORD = 14,
    SAGA_COMPENSATION_DONE = 15,
    SAGA_COMPENSATION_FAILED = 16,
    SAGA_STUCK_RECORD = 17,
    SAGA_RESOLVED = 18,
    SAGA_HELD_RECORD = 19,
    SAGA_COMMITTED_RECORD = 20,
    SAGA_COMPENSATED_RECORD = 21,
    SAGA_RECORD_KINDS
};

/* Why a saga turned back. */
enum saga_why {
    SAGA_WHY_NONE,
    SAGA_WHY_FAILED,  /* a step failed */
    SAGA_WHY_UNKNOWN, /* a step's outcome could not be learnt */
    SAGA_WHY_CANCEL,
    SAGA_WHY_DEADLINE,
    SAGA_WHY_REVOKED, /* its capability was, or has run out */
    SAGA_WHYS
};

struct saga_intent {
    uint32_t step;
    const char *input;        /* JSON; NULL: null */
    const char *compensation; /* arguments of the undo; NULL: as input */
    const char *store;        /* NULL: not bound */
};

/* One record.  Which fields count is said beside each; the others are zero. */
struct saga_record {
    enum saga_record_kind kind;
    int64_t at_ns;       /* all: node time */
    uint32_t step;       /* all about a step */
    uint32_t attempt;    /* step done, failed, unknown; compensation done, failed */
    uint32_t batch;      /* barrier */
    bool final;          /* step unknown: it is not asked again */
    bool done;           /* resolved */
    bool deadline;       /* timer fired: the saga's */
    int64_t due_ns;      /* timer set; accepted: deadline, 0: none */
    enum saga_why why;   /* cancel requested, compensating */
    const char *text;    /* reason; signalled: its name; resolved: by whom.  NULL: none */
    const char *json;    /* step done: result; signalled: payload.  NULL: null */
    const char *request; /* verbs: request id; NULL: none */
    const struct saga_intent *intents; /* intent */
    uint32_t intents_len;

    /* accepted */
    const char *document, *key; /* key NULL: none */
    const uint8_t *grant;
    size_t grant_len;
    uint8_t digest[SAGA_DIGEST_BYTES];
    const struct saga_plan *plan;

    void *owner; /* of a decoded record; NULL in one that borrows all of it */
};

/* "StepDone"; "?" outside the table. */
const char *saga_record_kind_name(enum saga_record_kind kind);

/* "cancel"; "?" outside the table. */
const char *saga_why_name(enum saga_why why);

/* Encode @record's payload; *@ret is for free().  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_record_encode(const struct saga_record *record, uint8_t **ret,
                                        size_t *ret_len);

/* Decode a payload of @kind.  @ret is given back with saga_record_done().  Numbers of steps and
 * batches are not checked against a document here: the machine does.
 * Errors: URD_E_CORRUPT not a payload of @kind; URD_E_VERSION a kind of the future; URD_E_NOMEM. */
URD_MUST_USE urd_err saga_record_decode(uint8_t kind, const uint8_t *bytes, size_t bytes_len,
                                        struct saga_record *ret);

/* Free what a decoded record holds. */
void saga_record_done(struct saga_record *record);

/* A line of `urd saga history`: {"seq","at","kind",...}, names instead of numbers of steps where
 * @document (may be NULL) knows them.  For json_decref(); NULL: out of memory. */
json_t *saga_record_json(const struct saga_record *record, uint64_t seq,
                         const struct saga_document *document);

#endif
