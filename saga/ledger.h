/* saga/ledger.h -- what participants wrote down of what they did, for the checkers.
 *
 * A ledger is append-only JSON, a line an event:
 *
 *     {"t":ns,"event":"begin|effect|answer","saga":ID,"step":NAME,"direction":"do|undo",
 *      "key":KEY,"do_key":KEY,"epoch":N}
 *
 * "begin" before the handler acts, "effect" when the effect is there, "answer" when the answer was
 * handed over ("key" and "t" are enough there); other members are passed over. */
#ifndef SAGA_LEDGER_H
#define SAGA_LEDGER_H

#include <stddef.h>
#include <stdint.h>

#include "saga/id.h"

#define SAGA_LEDGER_LINE_BYTES_MAX 65536u

enum saga_ledger_event_kind { SAGA_LEDGER_BEGIN, SAGA_LEDGER_EFFECT, SAGA_LEDGER_ANSWER };

struct saga_ledger_event {
    uint8_t saga[SAGA_ID_BYTES]; /* this and step: from the effect key */
    uint32_t step;
    enum saga_direction direction;
    enum saga_ledger_event_kind kind;
    int64_t t_ns;    /* the participant's wall clock */
    uint64_t epoch;  /* ANSWER: 0 when it is not told */
    uint32_t ledger; /* which, from 0 */
    uint64_t line;   /* from 1 */
};

/* Decode one line, without its newline.  @ret_event's ledger and line are left alone.
 * Errors: URD_E_INVALID, URD_E_TOO_BIG, URD_E_NOMEM. */
URD_MUST_USE urd_err saga_ledger_decode(const char *line, size_t line_len,
                                        struct saga_ledger_event *ret_event);

/* The ledgers of one run. */
struct saga_ledgers {
    struct saga_ledger_event *events; /* once sorted: by saga, then ledger, then line */
    size_t events_len, events_room;
    uint32_t ledgers;
    uint64_t lines_damaged; /* that are no events; a last line without its newline is none */
    bool sorted;
};
#define SAGA_LEDGERS_INIT ((struct saga_ledgers){ 0 })
void saga_ledgers_done(struct saga_ledgers *ledgers);

/* Add one participant's ledger, whole.  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_ledgers_add(struct saga_ledgers *ledgers, const char *text,
                                      size_t text_len);

/* Sort, if they are not. */
void saga_ledgers_sort(struct saga_ledgers *ledgers);

/* The events of saga @id, in order of ledger and line; sorts first. */
const struct saga_ledger_event *saga_ledgers_of(struct saga_ledgers *ledgers,
                                                const uint8_t id[SAGA_ID_BYTES], size_t *ret_len);

#endif
