/* storage/guard.h -- a participant's memory of what it was asked and what it answered, by effect
 * key.
 *
 * A guard is `started`, durable before the handler runs, then `done` or `failed` with the answer.
 * So:
 *
 *   a duplicate                          gets the first answer
 *   an undo that comes before its do     is remembered and answers done; the late do is refused
 *   an undo                              from then on its do is refused, whatever it was
 *   a retry that finds `started` with    runs again when its handler is idempotent under the key,
 * else the nobody running it (a crash)          answer is unknown an epoch older than one seen is
 * stale: the asker is no longer the owner of that saga
 *
 * What runs at this moment is the caller's to know: it joins a duplicate of a running handler to
 * it, and lets an undo wait for its running do, before it asks here.
 *
 * Exact where guard and effect share a transaction, or the effect is idempotent under the key. */
#ifndef STORAGE_GUARD_H
#define STORAGE_GUARD_H

#include "storage/committer.h"

#define STORAGE_GUARD_SAGA_BYTES 26u  /* an id's text, without the NUL */
#define STORAGE_GUARD_KEY_BYTES  200u /* of an effect key, without the NUL */
#define STORAGE_GUARD_TEXT_BYTES (1u << 20)

/* What is asked.  All borrowed. */
struct storage_guard_request {
    const char *saga;   /* id text, STORAGE_GUARD_SAGA_BYTES long */
    const char *key;    /* effect key */
    const char *do_key; /* an undo: the key of what is undone; NULL: this is a do */
    uint64_t epoch;     /* of the owner */
    bool idempotent;    /* the handler may be run again under the same key */
};

enum storage_guard_verdict {
    STORAGE_GUARD_RUN,     /* it is durable as started: run the handler, then settle */
    STORAGE_GUARD_DONE,    /* answer done, with the text, and run nothing */
    STORAGE_GUARD_FAILED,  /* answer fail, with the text */
    STORAGE_GUARD_UNKNOWN, /* it was started, nobody runs it, and it may not be run again */
    STORAGE_GUARD_REFUSED, /* a do whose undo was here: answer fail, nothing was and will be done */
    STORAGE_GUARD_STALE    /* no longer the owner: no answer counts */
};

struct storage_guard_begun {
    enum storage_guard_verdict verdict;
    char *text;      /* DONE, FAILED: the first answer, NUL-terminated, for free(); else NULL */
    char *do_result; /* RUN of an undo: what the do answered, for free(); NULL: it is unknown */
};

/* Ask, and on RUN make it durable.  Blocks for one group commit.
 * Errors: URD_E_INVALID a saga id or key of the wrong length; storage_commit()'s. */
URD_MUST_USE urd_err storage_guard_begin(struct urd_cx *cx, struct storage_committer *committer,
                                         const struct storage_guard_request *request,
                                         struct storage_guard_begun *ret);

/* The handler of @key has ended: keep its answer, durably.  @text may be NULL (none).  Blocks,
 * masked: what was done must be remembered.  Errors: URD_E_STATE it was not started; URD_E_TOO_BIG;
 * storage_commit()'s. */
URD_MUST_USE urd_err storage_guard_settle(struct urd_cx *cx, struct storage_committer *committer,
                                          const char *saga, const char *key, bool done,
                                          const char *text);

/* The handler said that nothing was done and that it wants to be asked again: as if it had not been
 * started. */
URD_MUST_USE urd_err storage_guard_release(struct urd_cx *cx, struct storage_committer *committer,
                                           const char *saga, const char *key);

/* Forget all guards of @saga: it has ended, and for long enough. */
URD_MUST_USE urd_err storage_guard_forget(struct urd_cx *cx, struct storage_committer *committer,
                                          const char *saga);

/* The same inside an operation, for who keeps guard and effect in one transaction: begin, write the
 * effect, settle, and there is no moment at which it is started and not settled.  A begin hands out
 * new texts each time the operation is run.  Errors: URD_E_INVALID, URD_E_STATE and URD_E_TOO_BIG
 * as above; URD_E_CORRUPT; URD_E_NOMEM; storage_tx_put()'s. */
URD_MUST_USE urd_err storage_guard_begin_in(struct storage_tx *tx,
                                            const struct storage_guard_request *request,
                                            struct storage_guard_begun *ret);
URD_MUST_USE urd_err storage_guard_settle_in(struct storage_tx *tx, const char *saga,
                                             const char *key, bool done, const char *text);
URD_MUST_USE urd_err storage_guard_forget_in(struct storage_tx *tx, const char *saga);

/* Whether @key has a guard at all.  Errors: URD_E_NOT_FOUND; URD_E_INVALID;
 * storage_snapshot_get()'s. */
URD_MUST_USE urd_err storage_guard_known(struct storage_snapshot *snapshot, const char *saga,
                                         const char *key);

/* Sagas that have guards here, in order, after @after (NULL: from the first): up to @max texts of
 * STORAGE_GUARD_SAGA_BYTES + 1 bytes at @ret.  Blocks for a read.  Errors: URD_E_NOMEM,
 * URD_E_CORRUPT, URD_E_IO. */
URD_MUST_USE urd_err storage_guard_sagas(struct urd_cx *cx, struct storage *store,
                                         const char *after,
                                         char (*ret)[STORAGE_GUARD_SAGA_BYTES + 1], uint32_t max,
                                         uint32_t *ret_count);

#endif
