/* runtime/poller_internal.h -- the one place where the runtime waits for the kernel.
 *
 * A runtime has one poller.  One worker at a time waits in it; the others sleep on a futex.
 * Readiness of a descriptor is told by setting the urd_event or waking the urd_notify that was
 * registered with it. */
#ifndef RUNTIME_POLLER_INTERNAL_H
#define RUNTIME_POLLER_INTERNAL_H

#include <stdint.h>

#include "runtime/cx.h"

struct urd_poller;

/* Errors: URD_E_NOMEM, URD_E_SYSTEM. */
URD_MUST_USE urd_err urd_poller_open(struct urd_poller **ret);
/* Nobody may be waiting.  NULL is allowed. */
void urd_poller_close(struct urd_poller *poller);

/* Look for ready descriptors and fire what was registered with them; wait for one, or for
 * urd_poller_wake(), at most @timeout_ns.  0: just look; URD_FOREVER: as long as it takes.  Called
 * by one worker at a time, outside any task: when it has nothing to run, and every so many
 * dispatches. */
void urd_poller_wait(struct urd_poller *poller, uint64_t timeout_ns);

/* Make the urd_poller_wait() under way, or else the next one, return.  From any thread. */
void urd_poller_wake(struct urd_poller *poller);

/* The runtime's one poller. */
struct urd_poller *urd_cx_poller(struct urd_cx *cx);

#endif
