/* saga/document.h -- a saga as its author wrote it: JSON in, a checked `struct saga_document` out.
 *
 * The one decoder of saga documents.  What it accepts obeys every rule that can be known before the
 * saga runs: names, references to earlier steps only, what may stand after a pivot, and that no
 * step which cannot be undone stands where a failure would have to undo it.  Unknown members are
 * refused, so that a typo is not silence. */
#ifndef SAGA_DOCUMENT_H
#define SAGA_DOCUMENT_H

#include <stdint.h>

#include "saga/json.h"
#include "saga/kinds.h"

#define SAGA_DOCUMENT_BYTES_MAX (10u << 20)
#define SAGA_STEPS_MAX          10000u
#define SAGA_NAME_BYTES_MAX     128u  /* of a saga, a step, a worker's action */
#define SAGA_KEY_BYTES_MAX      200u  /* of an idempotency key */
#define SAGA_URL_BYTES_MAX      2048u /* of an action that is a URL */
#define SAGA_LABELS_MAX         16u
#define SAGA_LABEL_BYTES_MAX    100u /* of a label's name, and of its value */
#define SAGA_DIGEST_BYTES       32u

#define SAGA_ATTEMPTS_MAX           1000000u
#define SAGA_MS_MAX                 (366ull * 86400 * 1000) /* of any duration in a document */
#define SAGA_ATTEMPTS_DEFAULT       5u  /* of a step that may turn the saga back */
#define SAGA_ATTEMPTS_LATE_DEFAULT  20u /* of pivots, of steps after one, and of undos */
#define SAGA_RETRY_FIRST_MS_DEFAULT 100u
#define SAGA_RETRY_CAP_MS_DEFAULT   10000u
#define SAGA_TIMEOUT_MS_DEFAULT     30000u   /* of one attempt */
#define SAGA_RUN_TIMEOUT_MS_DEFAULT 3600000u /* of a step that answered `later` */
#define SAGA_DRAIN_MS_DEFAULT       5000u
#define SAGA_UNDO_MS_DEFAULT        3600000u

struct saga_step {
    const char *name;
    enum saga_kind kind;
    const char *action;     /* a worker's action or a URL; NULL: the built-in of the kind */
    const char *compensate; /* likewise, of the undo; NULL: none, or the built-in's own */
    json_t *input;          /* may hold references; NULL: null */
    const uint32_t *from;   /* the earlier steps it takes from, ascending, each once */
    uint32_t from_len;
    bool monotone;
    bool pivot;      /* its durable intent is the point of no return */
    bool forward;    /* after the pivot: retried until it is done */
    bool undo_none;  /* the author lets its effect stay */
    bool references; /* its input holds references */
    uint32_t attempts, undo_attempts;
    uint64_t first_ms, cap_ms; /* delay before the second attempt, and the longest */
    uint64_t timeout_ms;       /* of one attempt */
    uint64_t run_timeout_ms;   /* of one that answered `later` */
};

struct saga_label {
    const char *name, *value;
};

struct saga_document {
    const char *name;
    const char *key; /* NULL: none */
    struct saga_label labels[SAGA_LABELS_MAX];
    uint32_t labels_len;
    uint64_t deadline_ms; /* from accept; 0: none */
    uint64_t drain_ms;    /* what steps in flight have to answer when the saga turns back */
    uint64_t undo_ms;     /* reserved for undoing */
    uint8_t priority;
    bool compensate_parallel;
    struct saga_step *steps;
    uint32_t steps_len; /* 1 .. SAGA_STEPS_MAX */
    uint32_t pivot;     /* index of the pivot; steps_len: none */
    json_t *root;       /* owns every string above */
    json_t *index;      /* name of step -> its index */
    uint32_t *from;     /* owns every list above */
};

/* Decode and check @text.  *@ret is given back with saga_document_free().  @errmsg (may be NULL)
 * gets a sentence that names the step and the member.  Pure; recursion is bounded.
 * Errors: URD_E_INVALID a rule is broken; URD_E_TOO_BIG; URD_E_UNSUPPORTED a kind that needs an
 * action here has none; URD_E_NOMEM. */
URD_MUST_USE urd_err saga_document_decode(const char *text, size_t text_len,
                                          struct saga_document **ret, char *errmsg,
                                          size_t errmsg_len);

/* NULL is allowed. */
void saga_document_free(struct saga_document *document);

/* The document's canonical text without its key, for free(), and its BLAKE2b-256 digest: two
 * documents that mean the same have the same.  Decoding it gives the same document.
 * Errors: URD_E_NOMEM. */
URD_MUST_USE urd_err saga_document_canonical(const struct saga_document *document, char **ret_text,
                                             uint8_t ret_digest[SAGA_DIGEST_BYTES]);

/* The index of the step called @name; steps_len when there is none. */
uint32_t saga_document_step(const struct saga_document *document, const char *name);

/* The name of the thing that @step's built-in touches ("seats" of {"quantity": "seats"}), and in
 * *@ret_space what sort of thing it is ("quantity"); NULL: none named in its input. */
const char *saga_step_thing(const struct saga_step *step, const char **ret_space);

/* How @step is undone, its author's word and its kind's taken together; `undo_none` is
 * SAGA_UNDO_NOTHING. */
enum saga_undo saga_step_undo(const struct saga_step *step);

bool saga_action_is_url(const char *action);

/* A step's input with each reference replaced by what it names.  @result(@arg, i) is the result of
 * step i, borrowed, NULL when it has none.  *@ret is for json_decref().
 * Errors: URD_E_NOT_FOUND a reference names nothing (@errmsg says which); URD_E_NOMEM. */
URD_MUST_USE urd_err saga_step_resolve(const struct saga_document *document, uint32_t step,
                                       json_t *(*result)(void *arg, uint32_t step), void *arg,
                                       json_t **ret, char *errmsg, size_t errmsg_len);

#endif
