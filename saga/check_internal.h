/* saga/check_internal.h -- what the files of the checkers share. */
#ifndef SAGA_CHECK_INTERNAL_H
#define SAGA_CHECK_INTERNAL_H

#include "saga/check.h"
#include "saga/machine.h"

struct saga_check {
    struct storage_snapshot *snapshot;
    struct saga_check_options options;
    struct saga_check_summary sum;
    struct saga_check_entry *entries; /* open addressing; a power of two */
    size_t entries_len, entries_room;
    struct saga_check_token *tokens; /* that built-in Acquires were answered */
    size_t tokens_len, tokens_room;
    urd_err failed; /* memory ran out where that cannot be said */
};

/* A saga while its records are folded. */
struct saga_check_life {
    struct saga *saga;
    bool *intended; /* by step: an Intent was there */
};

/* Report: "saga ID: " and the sentence; @id may be NULL. */
__attribute__((format(printf, 4, 5))) void saga_check_breach(struct saga_check *c, const char *rule,
                                                             const uint8_t *id, const char *format,
                                                             ...);

/* Hold the ledgers' events of saga @id against each other and against @life (NULL: its journal is
 * not there to be asked).  Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_check_events(struct saga_check *c, const uint8_t id[SAGA_ID_BYTES],
                                       const struct saga_check_life *life);

#endif
