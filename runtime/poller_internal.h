/* runtime/poller_internal.h -- the one place where the runtime waits for the kernel.
 *
 * A runtime has one poller.  One worker at a time waits in it; the others sleep on a futex.
 * Readiness of a descriptor is told by waking the urd_notify of its watch:
 *
 *     for (;;) {
 *         n = read(fd, ...);                                   // first try, then wait
 *         if (n is not EAGAIN) break;
 *         err = urd_notify_wait(cx, &watch->readable, deadline_ns);
 *         if (err != URD_OK) return err;
 *     }
 *
 * A notify keeps one wake for the next waiter, so nothing is lost between the try and the wait; it
 * may also wake for nothing, so the try is repeated. */
#ifndef RUNTIME_POLLER_INTERNAL_H
#define RUNTIME_POLLER_INTERNAL_H

#include <stdint.h>

#include "runtime/cx.h"
#include "runtime/sync.h"

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

/* A descriptor the poller watches: registered once, edge-triggered, for both directions.  An error
 * or hang-up wakes both.  One task waits in a direction at a time, or passes the wake on
 * (urd_notify_one()) when it is done. */
struct urd_watch {
    struct urd_notify readable, writable;
    struct urd_poller *poller; /* private: NULL when that poller is gone */
    struct urd_watch *next;    /* private */
    int fd;
};

/* Watch @fd (non-blocking; stays the caller's).  Give back with urd_watch_close().
 * Errors: URD_E_NOMEM; URD_E_FULL too many watches; URD_E_UNSUPPORTED @fd cannot be waited for (an
 * ordinary file). */
URD_MUST_USE urd_err urd_watch_open(struct urd_poller *poller, int fd, struct urd_watch **ret);
/* The same for @events (URD_FD_READ, URD_FD_WRITE) alone, all told through `readable`. */
URD_MUST_USE urd_err urd_watch_open_merged(struct urd_poller *poller, int fd, unsigned events,
                                           struct urd_watch **ret);
/* Stop watching; before the descriptor is closed.  Nobody may be waiting.  NULL is allowed. */
void urd_watch_close(struct urd_watch *watch);

/* urd_fd_wait() without its gate, for calls that have passed their own. */
URD_MUST_USE urd_err urd_watch_fd(struct urd_cx *cx, int fd, unsigned events, uint64_t deadline_ns,
                                  unsigned *ret_events);

/* The runtime's one poller. */
struct urd_poller *urd_cx_poller(struct urd_cx *cx);

#endif
