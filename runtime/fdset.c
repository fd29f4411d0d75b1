/* A set of descriptors is an epoll instance of its own; being a descriptor itself, it is waited for
 * like any other. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "runtime/net.h"
#include "runtime/task_internal.h"

enum { READY_MAX = 64 };

struct urd_fdset {
    int epoll_fd;
};

urd_err urd_fdset_open(struct urd_cx *cx, struct urd_fdset **ret)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    struct urd_fdset *set = malloc(sizeof *set);
    if (set == NULL) return URD_E_NOMEM;
    set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->epoll_fd < 0) {
        free(set);
        return URD_E_SYSTEM;
    }
    *ret = set;
    return URD_OK;
}

void urd_fdset_close(struct urd_fdset *set)
{
    if (set == NULL) return;
    (void)close(set->epoll_fd);
    free(set);
}

urd_err urd_fdset_set(struct urd_fdset *set, int fd, unsigned events)
{
    struct epoll_event event = { .data.fd = fd };
    if (events == 0) {
        (void)epoll_ctl(set->epoll_fd, EPOLL_CTL_DEL, fd, &event);
        return URD_OK;
    }
    if ((events & URD_FD_READ) != 0) event.events |= EPOLLIN;
    if ((events & URD_FD_WRITE) != 0) event.events |= EPOLLOUT;
    if (epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) return URD_OK;
    if (errno == EEXIST && epoll_ctl(set->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0) return URD_OK;
    return URD_E_SYSTEM;
}

/* What is ready now. */
static uint32_t look(const struct urd_fdset *set, struct urd_fdset_ready *ret, uint32_t ready_max)
{
    struct epoll_event events[READY_MAX];
    int n =
        epoll_wait(set->epoll_fd, events, (int)(ready_max < READY_MAX ? ready_max : READY_MAX), 0);
    for (int i = 0; i < n; i++) {
        unsigned ready = 0;
        if ((events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0)
            ready |= URD_FD_READ;
        if ((events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) ready |= URD_FD_WRITE;
        ret[i] = (struct urd_fdset_ready){ .fd = events[i].data.fd, .events = ready };
    }
    return n > 0 ? (uint32_t)n : 0;
}

urd_err urd_fdset_wait(struct urd_cx *cx, struct urd_fdset *set, uint64_t deadline_ns,
                       struct urd_fdset_ready *ret, uint32_t ready_max, uint32_t *ret_count)
{
    assert(ready_max > 0);
    for (;;) {
        unsigned events;
        urd_err err = urd_fd_wait(cx, set->epoll_fd, URD_FD_READ, deadline_ns, &events);
        if (err != URD_OK) return err;
        uint32_t count = look(set, ret, ready_max);
        if (count == 0) continue;
        *ret_count = count;
        return URD_OK;
    }
}
