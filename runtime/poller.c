/* One epoll, and an eventfd in it for wake-ups: a worker that waits here is made to return by
 * whoever has work for it. */
#include "runtime/poller_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define READY_MAX 64 /* descriptors told of in one look */

struct urd_poller {
    int epoll_fd;
    int wake_fd;
};

urd_err urd_poller_open(struct urd_poller **ret)
{
    struct urd_poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL) return URD_E_NOMEM;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) goto fail;
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake_fd < 0) goto fail_epoll;
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
    if (epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event) != 0) goto fail_wake;
    *ret = poller;
    return URD_OK;

fail_wake:
    (void)close(poller->wake_fd);
fail_epoll:
    (void)close(poller->epoll_fd);
fail:
    free(poller);
    return URD_E_SYSTEM;
}

void urd_poller_close(struct urd_poller *poller)
{
    if (poller == NULL) return;
    (void)close(poller->wake_fd);
    (void)close(poller->epoll_fd);
    free(poller);
}

static void wake_taken(const struct urd_poller *poller)
{
    uint64_t count;
    ssize_t n = read(poller->wake_fd, &count, sizeof count);
    assert(n == sizeof count || errno == EAGAIN);
}

void urd_poller_wait(struct urd_poller *poller, uint64_t timeout_ns)
{
    struct epoll_event ready[READY_MAX];
    struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / 1000000000u),
                                .tv_nsec = (long)(timeout_ns % 1000000000u) };
    int n = epoll_pwait2(poller->epoll_fd, ready, READY_MAX,
                         timeout_ns == URD_FOREVER ? NULL : &timeout, NULL);
    for (int i = 0; i < n; i++) {
        if (ready[i].data.ptr == NULL) wake_taken(poller);
    }
}

void urd_poller_wake(struct urd_poller *poller)
{
    uint64_t one = 1;
    ssize_t n = write(poller->wake_fd, &one, sizeof one);
    assert(n == sizeof one || errno == EAGAIN); /* full: a wake-up is waiting already */
}
