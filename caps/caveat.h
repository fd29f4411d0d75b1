/* caps/caveat.h -- the predicates that Urd knows: text, so that any macaroon tool can read and add
 * them.
 *
 *     time < T          time >= T            T: YYYY-MM-DDThh:mm:ssZ
 *     region = ID       task = ID            ID: one canonical resource segment
 *     uses <= N         rate <= N/DURATION   N: decimal, no sign, no leading zero; DURATION <= 30 d
 *     action = GLOB,GLOB...   resource = GLOB,GLOB...
 *     link = 32 lower-case hex digits
 *     fresh <= DURATION
 *     KEY = VALUE       custom: KEY a-z then a-z 0-9 _ . -, never a name above; VALUE visible ASCII
 *
 * One space on each side of the operator and nowhere else.  Unknown, malformed, or about a context
 * that the request does not have: refused. */
#ifndef CAPS_CAVEAT_H
#define CAPS_CAVEAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caps/token.h"
#include "runtime/error.h"

#define URD_CAPS_COUNT_MAX            UINT64_C(1000000000000) /* N of uses and rate */
#define URD_CAPS_ID_BYTES_MAX         255
#define URD_CAPS_CUSTOM_KEY_BYTES_MAX 63
#define URD_CAPS_LEEWAY_NS_DEFAULT    UINT64_C(2000000000)
#define URD_CAPS_NEVER_HEARD_NS       UINT64_MAX

/* Why a request was refused, for the client: the kind of caveat, never its text.  The names are
 * API. */
/* clang-format off */
#define URD_CAPS_KIND_TABLE(X)                                                                      \
    X(URD_CAPS_TIME_BEFORE, "time")         /* time < T: expired */                                 \
    X(URD_CAPS_TIME_FROM,   "time-from")    /* time >= T: not yet */                                \
    X(URD_CAPS_REGION,      "region")                                                               \
    X(URD_CAPS_TASK,        "task")                                                                 \
    X(URD_CAPS_USES,        "uses")                                                                 \
    X(URD_CAPS_RATE,        "rate")                                                                 \
    X(URD_CAPS_ACTION,      "action")                                                               \
    X(URD_CAPS_RESOURCE,    "resource")                                                             \
    X(URD_CAPS_LINK,        "link")         /* refuses only when revoked */                         \
    X(URD_CAPS_FRESH,       "fresh")        /* the home's revocations not heard lately enough */    \
    X(URD_CAPS_CUSTOM,      "custom")                                                               \
    X(URD_CAPS_UNKNOWN,     "unknown")      /* not a predicate that Urd knows */                    \
    X(URD_CAPS_THIRD_PARTY, "third-party")  /* no discharge that holds */                           \
    X(URD_CAPS_IDENTIFIER,  "identifier")   /* not minted by Urd */                                 \
    X(URD_CAPS_ROOT_KEY,    "root-key")     /* a root key nobody here has, or a revoked one */      \
    X(URD_CAPS_TOKEN,       "token")        /* the token itself was revoked */                      \
    X(URD_CAPS_SIGNATURE,   "signature")    /* the chain does not verify */                         \
    X(URD_CAPS_REQUEST,     "request")      /* the request's own names are not well-formed */       \
    X(URD_CAPS_LIMIT,       "limit")        /* more discharges, globs or budgets than are looked at */
/* clang-format on */

enum urd_caps_kind {
#define X(kind, name) kind,
    URD_CAPS_KIND_TABLE(X)
#undef X
        URD_CAPS_KIND_COUNT
};

/* The name of a kind; a static string, never NULL. */
const char *urd_caps_kind_name(enum urd_caps_kind kind);

/* One parsed predicate; name and value point into the bytes it was parsed from. */
struct urd_caps_predicate {
    enum urd_caps_kind kind;
    int64_t time_s;                    /* TIME_*: unix seconds */
    uint64_t count;                    /* USES, RATE: N */
    uint64_t duration_ns;              /* RATE: window; FRESH: bound */
    uint8_t link[URD_CAPS_LINK_BYTES]; /* LINK */
    struct urd_caps_bytes name;        /* every kind: what stands left of the operator */
    struct urd_caps_bytes value;       /* every kind: what stands right of it */
};

/* Read one predicate from untrusted bytes.
 * @errmsg  may be NULL; on error a sentence for people.
 * Errors: URD_E_INVALID unknown or malformed; URD_E_TOO_BIG over URD_CAPS_PREDICATE_BYTES_MAX. */
URD_MUST_USE urd_err urd_caps_predicate_parse(struct urd_caps_bytes text,
                                              struct urd_caps_predicate *ret, char *errmsg,
                                              size_t errmsg_len);

/* Write @predicate from its parsed fields, NUL-terminated; durations in their largest exact unit.
 * Errors: URD_E_INVALID a field is out of bounds, or the kind has no text; URD_E_TOO_BIG no room.
 */
URD_MUST_USE urd_err urd_caps_predicate_format(const struct urd_caps_predicate *predicate,
                                               char *ret_text, size_t text_size);

struct urd_caps_pair {
    const char *name;
    const char *value;
};

/* What is asked, and all that a caveat may speak of.  Everything is borrowed; what a request has
 * not is NULL, and a caveat about it refuses. */
struct urd_caps_request {
    uint64_t now_ns;      /* the verifier's clock, unix nanoseconds */
    uint64_t leeway_ns;   /* granted to `time >=` only; usually URD_CAPS_LEEWAY_NS_DEFAULT */
    const char *action;   /* `saga.submit` */
    const char *resource; /* `saga/book-trip`, canonical */
    bool any_action;      /* judge no action caveat, no resource caveat: the caller holds what it */
    bool any_resource;    /* then does against the grant, item by item (urd_caps_grant_allows()) */
    const char *region;   /* the saga it comes from or is for */
    const char *task;     /* the step it comes from or is for */
    const struct urd_caps_pair *pairs; /* custom context; names may repeat */
    size_t pair_count;
    uint64_t home_heard_ago_ns; /* since the minting node's revocation sequence was heard; 0 when
                                   this is that node; URD_CAPS_NEVER_HEARD_NS */
    uint64_t max_stale_ns;      /* `fresh` applied to every token; 0: off */
};

/* Does @predicate hold for @request?  `uses` and `rate` always do here: spending is the node's;
 * `link` too: revocation is looked up elsewhere. */
bool urd_caps_predicate_holds(const struct urd_caps_predicate *predicate,
                              const struct urd_caps_request *request);

#endif
