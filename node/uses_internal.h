/* node/uses_internal.h -- the counters behind `uses` and `rate`. */
#ifndef NODE_USES_INTERNAL_H
#define NODE_USES_INTERNAL_H

#include "node/node.h"

#define NODE_COUNTER_MARKS_MAX 64u
#define NODE_COUNTER_BYTES_MAX (16u + 16u * NODE_COUNTER_MARKS_MAX)
#define NODE_IDENTITY_KEEP_S   86400 /* a retry after that is a new use */

struct node_mark {
    int64_t at_ns;
    uint64_t count;
};
struct node_counter {
    uint64_t used;   /* `uses` */
    int64_t last_ns; /* `rate`: its clock, which never runs back */
    uint32_t marks;
    struct node_mark mark[NODE_COUNTER_MARKS_MAX]; /* oldest first */
};

struct node_budget {
    uint8_t key[NODE_SECRET_BYTES];
    uint64_t count_max;
    uint64_t window_ns; /* 0: uses */
    int64_t expires_s;  /* the counter may go after it; 0: never */
};

/* Drop the marks that lie a whole @window_ns back. */
void node_counter_age(struct node_counter *counter, uint64_t window_ns, int64_t now_ns);
/* Spend one of @count_max; false: used up.  *@ret_retry_ns: when a rate may have room again. */
bool node_counter_spend(struct node_counter *counter, uint64_t count_max, uint64_t window_ns,
                        int64_t now_ns, uint64_t *ret_retry_ns);
/* As bytes: used 8, last 8, then each mark 8 + 8.  @ret has NODE_COUNTER_BYTES_MAX. */
size_t node_counter_encode(const struct node_counter *counter, uint8_t *ret);
URD_MUST_USE urd_err node_counter_decode(const uint8_t *bytes, size_t bytes_len,
                                         struct node_counter *ret);

/* May a counter be trusted that lost, at @floor_s, whatever it had counted since a backup?  One of
 * `uses` when its token is younger; one of a rate once a whole window has passed.  Floor 0: always.
 */
bool node_budget_trusted(const struct node_budget *budget, int64_t issued_s, int64_t floor_s,
                         int64_t now_ns);

/* Spend all of @budgets, at their home, or none; @identity that was spent already is URD_OK.
 * @issued_s is when the token was minted.  Blocks for a commit.  Errors: URD_E_DENIED;
 * storage_commit()'s. */
URD_MUST_USE urd_err node_uses_spend_here(struct urd_cx *cx, struct node *node,
                                          const struct node_budget *budgets, size_t count,
                                          const uint8_t *identity, int64_t issued_s,
                                          uint32_t *ret_refused, uint64_t *ret_retry_ns);

/* Read when counters were last lost, and with @lost say that they were just now: the store was put
 * back from a backup.  Blocks. */
URD_MUST_USE urd_err node_uses_open(struct urd_cx *cx, struct node *node, bool lost);

#endif
