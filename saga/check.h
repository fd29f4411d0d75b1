/* saga/check.h -- the invariants as checkers: the journals of a store, and what participants wrote
 * in their ledgers, held against S1-S5, S8-S10 and S14.
 *
 * What the journal shows:  every saga is folded through saga_apply(), which takes nothing that
 * breaks the machine: records after an end (S1), an end that steps do not bear out (S2), undos of
 * what was never done (S3), a step sent before its barrier (S9), a cancel that is not obeyed (S10).
 * What the ledgers show:  net effects (S2, S3), their order (S4), one effect a key (S5), epochs
 * (S8), an intent before each act (S9), nothing after the end (S10).
 * What the store shows:  S14, by saga_builtin_verify().
 *
 * A saga that is open breaks nothing by being open: what it owes at its end is not asked of it.
 * Ledgers are to be complete for what the store has: read them when the participants are at rest.
 */
#ifndef SAGA_CHECK_H
#define SAGA_CHECK_H

#include "saga/ledger.h"
#include "storage/kv.h"

struct saga_breach {
    const char *rule;     /* "S4"; "store": a record is damaged or missing */
    const char *saga;     /* id, text; "": of none in particular */
    const char *sentence; /* names the saga; borrowed for the call */
};

struct saga_check_options {
    struct saga_ledgers *ledgers; /* NULL: there are none, and only journals are checked */
    bool require_ends;            /* a saga that is neither ended nor stuck is a breach of S1 */
    uint64_t skew_ns; /* how far clocks of different ledgers may be apart; 0: they are one */
    /* Whether all participants that answer @action keep one of the ledgers.  NULL: every worker's
     * action, no URL's.  Built-ins never do. */
    bool (*keeps_ledger)(void *arg, const char *action);
    void *arg;
    void (*report)(void *arg, const struct saga_breach *breach); /* may be NULL */
    void *report_arg;
};

struct saga_check_summary {
    uint64_t records, sagas;
    uint64_t committed, compensated, stuck, open; /* of those sagas */
    uint64_t unchecked; /* sagas whose beginning is no longer in the journal */
    uint64_t events;    /* in the ledgers */
    uint64_t foreign;   /* of them of sagas that are not in this store */
    uint64_t breaches;
};

/* Check.  URD_OK when the walk came to its end, however many breaches it met: they are in *@ret.
 * A long reader; holds open sagas and the ledgers in memory.  @options may be NULL.
 * Errors: URD_E_NOMEM, URD_E_IO. */
URD_MUST_USE urd_err saga_check_run(struct storage_snapshot *snapshot,
                                    const struct saga_check_options *options,
                                    struct saga_check_summary *ret);

#endif
