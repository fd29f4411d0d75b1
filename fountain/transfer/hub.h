/* fountain/transfer/hub.h -- one UDP socket for all the transfers of a process.
 *
 * A task runs the hub's receive loop; a datagram whose session id is not known costs one lookup and
 * is dropped.  Sessions attach themselves (transfer.h does it). */
#ifndef FOUNTAIN_TRANSFER_HUB_H
#define FOUNTAIN_TRANSFER_HUB_H

#include "runtime/cx.h"
#include "runtime/net.h"

#define URD_FOUNTAIN_SESSIONS_MAX 1024u

struct urd_fountain_hub;

/* Bind the hub's socket to @local (port 0: any).  Errors: URD_E_BUSY, URD_E_SYSTEM, URD_E_DENIED,
 * URD_E_NOMEM. */
URD_MUST_USE urd_err urd_fountain_hub_open(struct urd_cx *cx, const struct urd_address *local,
                                           struct urd_fountain_hub **ret);
/* Receive until cancelled: to be run as a task of its own, before and as long as transfers run.
 * Blocks.  Errors: URD_E_CANCELLED, URD_E_SYSTEM. */
URD_MUST_USE urd_err urd_fountain_hub_run(struct urd_cx *cx, struct urd_fountain_hub *hub);
/* Close the socket; nobody may be running it and no transfer may be left.  NULL is allowed. */
void urd_fountain_hub_close(struct urd_fountain_hub *hub);
/* The address bound. */
void urd_fountain_hub_local(const struct urd_fountain_hub *hub, struct urd_address *ret);

struct urd_fountain_hub_stats {
    uint64_t datagrams;       /* received */
    uint64_t unknown;         /* of no session here */
    uint64_t dropped;         /* a session's queue was full */
    uint64_t bytes;           /* received */
    uint32_t sessions_active; /* attached now */
};
void urd_fountain_hub_stats(const struct urd_fountain_hub *hub, struct urd_fountain_hub_stats *ret);

#endif
