/* One epoll, and an eventfd in it for wake-ups: a worker that waits here is made to return by
 * whoever has work for it.
 *
 * The kernel may hand us an event of a descriptor that another worker closes at that moment.  So
 * the memory of a watch is never given back, only used again for another descriptor: the late event
 * then wakes a task for nothing, which the wait loops allow for.  Watches outlive the poller for
 * the same reason: a socket may be closed after its runtime has stopped. */
#include "runtime/poller_internal.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "runtime/errno_internal.h"
#include "runtime/net.h"

#define READY_MAX     64 /* descriptors told of in one look */
#define WATCHES_CHUNK 64u

/* What an event carries: 0 for the eventfd, else the watch's address, and in its lowest bit how
 * that registration wants to be told.  In the event, not in the watch: a late one speaks for the
 * registration it came from. */
#define WAKE   0u
#define MERGED UINT64_C(1)

struct urd_poller {
    int epoll_fd;
    int wake_fd;
    /* What was written to a watch before it was registered is seen by whoever is handed its event;
     * the kernel sees to that, this says it in the language's terms. */
    atomic_uint registered;
};

struct chunk {
    struct chunk *next;
    struct urd_watch watches[WATCHES_CHUNK];
};

static struct {
    pthread_mutex_t mutex;
    struct chunk *chunks;
    struct urd_watch *unused;
} pool = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static urd_err pool_take(struct urd_poller *poller, int fd, struct urd_watch **ret)
{
    urd_err err = URD_OK;
    pthread_mutex_lock(&pool.mutex);
    if (pool.unused == NULL) {
        struct chunk *chunk = calloc(1, sizeof *chunk);
        if (chunk == NULL) {
            err = URD_E_NOMEM;
            goto out;
        }
        chunk->next = pool.chunks;
        pool.chunks = chunk;
        for (unsigned i = 0; i < WATCHES_CHUNK; i++) {
            chunk->watches[i].fd = -1;
            chunk->watches[i].next = pool.unused;
            pool.unused = &chunk->watches[i];
        }
    }
    *ret = pool.unused;
    pool.unused = (*ret)->next;
    (*ret)->poller = poller;
    (*ret)->fd = fd;
out:
    pthread_mutex_unlock(&pool.mutex);
    return err;
}

static void pool_give(struct urd_watch *watch)
{
    pthread_mutex_lock(&pool.mutex);
    watch->fd = -1;
    watch->poller = NULL;
    watch->next = pool.unused;
    pool.unused = watch;
    pthread_mutex_unlock(&pool.mutex);
}

static void pool_forget(const struct urd_poller *poller)
{
    pthread_mutex_lock(&pool.mutex);
    for (struct chunk *chunk = pool.chunks; chunk != NULL; chunk = chunk->next) {
        for (unsigned i = 0; i < WATCHES_CHUNK; i++) {
            if (chunk->watches[i].poller == poller) chunk->watches[i].poller = NULL;
        }
    }
    pthread_mutex_unlock(&pool.mutex);
}

urd_err urd_poller_open(struct urd_poller **ret)
{
    struct urd_poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL) return URD_E_NOMEM;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll_fd < 0) goto fail;
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->wake_fd < 0) goto fail_epoll;
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE };
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
    pool_forget(poller);
    (void)close(poller->wake_fd);
    (void)close(poller->epoll_fd);
    free(poller);
}

/* Of its own, and never inlined: errno must not be read through an address taken before the task
 * moved to another thread. */
static __attribute__((noinline)) int try_add(const struct urd_poller *poller, int fd,
                                             uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events | EPOLLET, .data.u64 = data };
    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 ? errno : 0;
}

static urd_err watch_open(struct urd_poller *poller, int fd, uint32_t events, uint64_t merged,
                          struct urd_watch **ret)
{
    struct urd_watch *watch;
    urd_err err = pool_take(poller, fd, &watch);
    if (err != URD_OK) return err;
    atomic_fetch_add_explicit(&poller->registered, 1u, memory_order_release);
    int error = try_add(poller, fd, events, (uintptr_t)watch | merged);
    if (error != 0) {
        pool_give(watch);
        return error == EPERM ? URD_E_UNSUPPORTED : urd_err_from_net_errno(error);
    }
    *ret = watch;
    return URD_OK;
}

urd_err urd_watch_open(struct urd_poller *poller, int fd, struct urd_watch **ret)
{
    return watch_open(poller, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 0, ret);
}

urd_err urd_watch_open_merged(struct urd_poller *poller, int fd, unsigned events,
                              struct urd_watch **ret)
{
    uint32_t asked = ((events & URD_FD_READ) != 0 ? (uint32_t)EPOLLIN | EPOLLRDHUP : 0u) |
                     ((events & URD_FD_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0u);
    return watch_open(poller, fd, asked, MERGED, ret);
}

void urd_watch_close(struct urd_watch *watch)
{
    if (watch == NULL) return;
    pthread_mutex_lock(&pool.mutex);
    if (watch->poller != NULL)
        (void)epoll_ctl(watch->poller->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    pthread_mutex_unlock(&pool.mutex);
    pool_give(watch);
}

static void wake_taken(const struct urd_poller *poller)
{
    uint64_t count;
    ssize_t n = read(poller->wake_fd, &count, sizeof count);
    assert(n == sizeof count || errno == EAGAIN);
}

static void fire(uint64_t data, uint32_t events)
{
    struct urd_watch *watch = (struct urd_watch *)(uintptr_t)(data & ~MERGED);
    const uint32_t broken = EPOLLERR | EPOLLHUP;
    if ((data & MERGED) != 0 || (events & (EPOLLIN | EPOLLRDHUP | broken)) != 0)
        urd_notify_all(&watch->readable);
    if ((data & MERGED) == 0 && (events & (EPOLLOUT | broken)) != 0)
        urd_notify_all(&watch->writable);
}

/* epoll_wait() in nanoseconds; where the kernel lacks that, in milliseconds, rounded up. */
static int wait_ready(int epoll_fd, struct epoll_event *ret, uint64_t timeout_ns)
{
    const struct timespec timeout = { .tv_sec = (time_t)(timeout_ns / 1000000000u),
                                      .tv_nsec = (long)(timeout_ns % 1000000000u) };
    int n =
        epoll_pwait2(epoll_fd, ret, READY_MAX, timeout_ns == URD_FOREVER ? NULL : &timeout, NULL);
    if (n >= 0 || errno == EINTR) return n;
    uint64_t timeout_ms = timeout_ns / 1000000u + (timeout_ns % 1000000u != 0);
    if (timeout_ms > INT_MAX) timeout_ms = INT_MAX;
    return epoll_wait(epoll_fd, ret, READY_MAX, timeout_ns == URD_FOREVER ? -1 : (int)timeout_ms);
}

void urd_poller_wait(struct urd_poller *poller, uint64_t timeout_ns)
{
    struct epoll_event ready[READY_MAX];
    int n = wait_ready(poller->epoll_fd, ready, timeout_ns);
    (void)atomic_load_explicit(&poller->registered, memory_order_acquire);
    for (int i = 0; i < n; i++) {
        if (ready[i].data.u64 == WAKE) {
            wake_taken(poller);
        } else {
            fire(ready[i].data.u64, ready[i].events);
        }
    }
}

void urd_poller_wake(struct urd_poller *poller)
{
    uint64_t one = 1;
    ssize_t n = write(poller->wake_fd, &one, sizeof one);
    assert(n == sizeof one || errno == EAGAIN); /* full: a wake-up is waiting already */
}
