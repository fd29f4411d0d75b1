/* Readiness of a foreign descriptor, level-triggered: asked with poll() before and after each wait,
 * so what the watch tells is only a hint that it is worth asking again. */
#include <assert.h>
#include <errno.h>
#include <poll.h>

#include "runtime/errno_internal.h"
#include "runtime/net.h"
#include "runtime/socket_internal.h"
#include "runtime/task_internal.h"

/* The ready part of @events, 0 when nothing is, or -errno. */
static URD_NOINLINE int try_poll(int fd, unsigned events)
{
    short asked =
        (short)(((events & URD_FD_READ) ? POLLIN : 0) | ((events & URD_FD_WRITE) ? POLLOUT : 0));
    struct pollfd p = { .fd = fd, .events = asked };
    int n = poll(&p, 1, 0);
    if (n < 0) return errno == EINTR ? 0 : -errno;
    if ((p.revents & POLLNVAL) != 0) return -EBADF;
    unsigned ready = 0;
    if ((p.revents & (POLLIN | POLLHUP | POLLERR)) != 0) ready |= URD_FD_READ;
    if ((p.revents & (POLLOUT | POLLHUP | POLLERR)) != 0) ready |= URD_FD_WRITE;
    return (int)(ready & events);
}

static urd_err wait_ready(struct urd_cx *cx, int fd, unsigned events, uint64_t deadline_ns,
                          int *ret_ready)
{
    struct urd_watch *watch;
    urd_err err = urd_watch_open_merged(urd_cx_poller(cx), fd, events, &watch);
    if (err != URD_OK) return err;
    int ready;
    for (;;) {
        ready = try_poll(fd, events);
        if (ready != 0) break;
        err = urd_notify_wait(cx, &watch->readable, deadline_ns);
        if (err != URD_OK) break;
    }
    urd_watch_close(watch);
    if (err == URD_OK) *ret_ready = ready;
    return err;
}

urd_err urd_watch_fd(struct urd_cx *cx, int fd, unsigned events, uint64_t deadline_ns,
                     unsigned *ret_events)
{
    assert(events != 0 && (events & ~(URD_FD_READ | URD_FD_WRITE)) == 0);
    urd_err err = urd_checkpoint(cx);
    if (err != URD_OK) return err;

    int ready = try_poll(fd, events);
    if (ready == 0) {
        err = wait_ready(cx, fd, events, deadline_ns, &ready);
        if (err != URD_OK) return err;
    }
    if (ready < 0) return urd_err_from_net_errno(-ready);
    *ret_events = (unsigned)ready;
    return URD_OK;
}

urd_err urd_fd_wait(struct urd_cx *cx, int fd, unsigned events, uint64_t deadline_ns,
                    unsigned *ret_events)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    return urd_watch_fd(cx, fd, events, deadline_ns, ret_events);
}
