/* A child from birth to burial:
 *
 *     spawn      posix_spawn on the blocking pool (it waits for the exec), own process group,
 *                default signals, no descriptor but the three pipes
 *     feed       one private epoll over the pipes and the pidfd; the task waits for that epoll
 *     end        by itself; or SIGTERM to the group, then SIGKILL
 *     bury       what is left of the group is killed while the zombie still holds its number,
 *                then the zombie is reaped
 *
 * After the child's own end nothing more is waited for: a grandchild that kept the pipes open does
 * not hold us, what it had written by then is kept. */
#include "runtime/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/blocking_internal.h"
#include "runtime/errno_internal.h"
#include "runtime/net.h"
#include "runtime/poller_internal.h"
#include "runtime/process_internal.h"
#include "runtime/socket_internal.h"
#include "runtime/task_internal.h"

#define TERM_TO_KILL_NS UINT64_C(2000000000)
#define CHUNK_BYTES     8192u /* of the task's stack, read at once */
/* In one go: more than a pipe holds by default, and an end to it when the child never pauses. */
#define DRAIN_CHUNKS_MAX 64u

/* A kept output: at most max bytes, one more allocated for the NUL. */
struct sink {
    char *bytes;
    size_t len, cap, max;
};

struct feed {
    struct urd_child child;
    int epoll_fd;
    const uint8_t *in;
    size_t in_len, in_done;
    struct sink out, err;
};

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static urd_err sink_reserve(struct sink *sink, size_t more)
{
    size_t need = sink->len + more + 1;
    if (need <= sink->cap) return URD_OK;
    size_t cap = sink->cap < 512 ? 1024 : sink->cap * 2;
    if (cap < need) cap = need;
    char *bytes = realloc(sink->bytes, cap);
    if (bytes == NULL) return URD_E_NOMEM;
    sink->bytes = bytes;
    sink->cap = cap;
    return URD_OK;
}

static urd_err sink_add(struct sink *sink, const char *bytes, size_t len)
{
    size_t keep = len < sink->max - sink->len ? len : sink->max - sink->len;
    urd_err err = sink_reserve(sink, keep);
    if (err != URD_OK) return err;
    memcpy(sink->bytes + sink->len, bytes, keep);
    sink->len += keep;
    sink->bytes[sink->len] = '\0';
    return URD_OK;
}

static URD_NOINLINE ssize_t try_read(int fd, char *ret, size_t cap)
{
    ssize_t n = read(fd, ret, cap);
    return n < 0 ? -errno : n;
}

static URD_NOINLINE ssize_t try_write(int fd, const uint8_t *bytes, size_t len)
{
    ssize_t n = write(fd, bytes, len);
    return n < 0 ? -errno : n;
}

/* Read until the pipe is empty or ended, or for long enough; an end closes it. */
static urd_err drain(int *fd, struct sink *sink)
{
    char chunk[CHUNK_BYTES];
    for (unsigned i = 0; i < DRAIN_CHUNKS_MAX && *fd >= 0; i++) {
        ssize_t n = try_read(*fd, chunk, sizeof chunk);
        if (n == -EINTR) continue;
        if (n == -EAGAIN) break;
        if (n <= 0) {
            close_fd(fd);
            break;
        }
        urd_err err = sink_add(sink, chunk, (size_t)n);
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

/* Write until the pipe is full or all is written; a child that stopped reading is its own affair.
 */
static void fill(struct feed *feed)
{
    while (feed->child.in_fd >= 0) {
        ssize_t n = 0;
        if (feed->in_done < feed->in_len)
            n = try_write(feed->child.in_fd, feed->in + feed->in_done,
                          feed->in_len - feed->in_done);
        if (n == -EINTR) continue;
        if (n == -EAGAIN) return;
        if (n > 0) feed->in_done += (size_t)n;
        if (n < 0 || feed->in_done == feed->in_len) close_fd(&feed->child.in_fd);
    }
}

static URD_NOINLINE int try_epoll(const struct urd_child *child)
{
    const struct {
        int fd;
        uint32_t events;
    } all[] = { { child->in_fd, EPOLLOUT },
                { child->out_fd, EPOLLIN },
                { child->err_fd, EPOLLIN },
                { child->pid_fd, EPOLLIN } };
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) return -errno;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct epoll_event event = { .events = all[i].events };
        if (epoll_ctl(fd, EPOLL_CTL_ADD, all[i].fd, &event) != 0) {
            int err = errno;
            close(fd);
            return -err;
        }
    }
    return fd;
}

static bool has_ended(const struct urd_child *child)
{
    siginfo_t info = { .si_pid = 0 };
    /* WNOWAIT: it stays a zombie, its number stays ours. */
    return waitid(P_PIDFD, (id_t)child->pid_fd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

/* Carry bytes both ways until the child has ended. */
static urd_err carry(struct urd_cx *cx, struct feed *feed, uint64_t deadline_ns)
{
    for (;;) {
        bool ended = has_ended(&feed->child); /* asked first: all it wrote is in the pipes by now */
        fill(feed);
        urd_err err = drain(&feed->child.out_fd, &feed->out);
        if (err == URD_OK) err = drain(&feed->child.err_fd, &feed->err);
        if (err != URD_OK || ended) return err;
        unsigned ready;
        err = urd_yield(cx);
        if (err == URD_OK && urd_cx_now(cx) >= deadline_ns) err = URD_E_TIMEOUT;
        if (err == URD_OK) err = urd_watch_fd(cx, feed->epoll_fd, URD_FD_READ, deadline_ns, &ready);
        if (err != URD_OK) return err;
    }
}

/* Ask it to end, make it end; masked, so that it is ours to bury whatever happens. */
static void put_down(struct urd_cx *cx, struct feed *feed)
{
    unsigned ready;
    URD_MASK(m);

    close_fd(&feed->child.in_fd);
    close_fd(&feed->child.out_fd);
    close_fd(&feed->child.err_fd);
    urd_mask(cx, m);
    (void)kill(-feed->child.pid, SIGTERM);
    uint64_t deadline_ns = urd_cx_now(cx) + TERM_TO_KILL_NS;
    if (urd_watch_fd(cx, feed->child.pid_fd, URD_FD_READ, deadline_ns, &ready) != URD_OK)
        (void)kill(-feed->child.pid, SIGKILL);
    while (!has_ended(&feed->child))
        (void)!urd_watch_fd(cx, feed->child.pid_fd, URD_FD_READ, URD_FOREVER, &ready);
    urd_unmask(cx, m);
}

static void bury(struct feed *feed, struct urd_process_result *ret)
{
    siginfo_t info = { .si_pid = 0 };
    (void)kill(-feed->child.pid, SIGKILL);
    int rc = waitid(P_PIDFD, (id_t)feed->child.pid_fd, &info, WEXITED);
    assert(rc == 0);
    bool exited = info.si_code == CLD_EXITED;
    ret->exit_code = exited ? info.si_status & 0xff : -1;
    ret->signal = exited ? 0 : info.si_status;
    close_fd(&feed->child.in_fd);
    close_fd(&feed->child.out_fd);
    close_fd(&feed->child.err_fd);
    close_fd(&feed->child.pid_fd);
}

static void spawn_run(void *arg)
{
    urd_child_spawn(arg);
}

static urd_err run(struct urd_cx *cx, struct feed *feed, uint64_t deadline_ns,
                   struct urd_process_result *ret)
{
    urd_err err = sink_reserve(&feed->out, 0);
    if (err == URD_OK) err = sink_reserve(&feed->err, 0);
    if (err != URD_OK) return err;
    feed->out.bytes[0] = feed->err.bytes[0] = '\0';

    err = urd_blocking_ungated(cx, spawn_run, &feed->child);
    if (err != URD_OK) return err;
    if (feed->child.result != URD_OK) return feed->child.result;

    feed->epoll_fd = try_epoll(&feed->child);
    err =
        feed->epoll_fd < 0 ? urd_err_from_net_errno(-feed->epoll_fd) : carry(cx, feed, deadline_ns);
    if (err != URD_OK) put_down(cx, feed);
    close_fd(&feed->epoll_fd);
    bury(feed, ret);
    return err;
}

urd_err urd_process_run(struct urd_cx *cx, const char *const *argv, const char *const *envp,
                        const void *in, size_t in_len, size_t out_max, uint64_t deadline_ns,
                        struct urd_process_result *ret)
{
    assert(argv[0] != NULL);
    if (!urd_cx_gate(cx, URD_GATE_PROCESS)) return URD_E_DENIED;

    struct urd_process_result result = { 0 };
    struct feed feed = {
        .child = { .argv = argv, .envp = envp },
        .epoll_fd = -1,
        .in = in,
        .in_len = in_len,
        .out = { .max = out_max },
        .err = { .max = out_max },
    };
    urd_err err = run(cx, &feed, deadline_ns, &result);
    if (err != URD_OK) {
        free(feed.out.bytes);
        free(feed.err.bytes);
        return err;
    }
    result.out = feed.out.bytes;
    result.out_len = feed.out.len;
    result.err = feed.err.bytes;
    result.err_len = feed.err.len;
    *ret = result;
    return URD_OK;
}

void urd_process_result_done(struct urd_process_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct urd_process_result){ 0 };
}
