/* Signals as something to wait for.  They are blocked in every thread of the runtime, so one that
 * comes while nobody waits stays pending until somebody does. */
#include <assert.h>
#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "runtime/errno_internal.h"
#include "runtime/net.h"
#include "runtime/poller_internal.h"
#include "runtime/process.h"
#include "runtime/socket_internal.h"
#include "runtime/task_internal.h"

static URD_NOINLINE int try_signalfd(const sigset_t *signals)
{
    int fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* The signal's number, or -errno. */
static URD_NOINLINE int try_take(int fd)
{
    struct signalfd_siginfo info;
    ssize_t n = read(fd, &info, sizeof info);
    if (n < 0) return -errno;
    assert(n == sizeof info);
    return (int)info.ssi_signo;
}

urd_err urd_signal_wait(struct urd_cx *cx, uint64_t deadline_ns, int *ret_signal)
{
    if (!urd_cx_gate(cx, URD_GATE_PROCESS)) return URD_E_DENIED;
    urd_err err = urd_checkpoint(cx);
    if (err != URD_OK) return err;

    int fd = try_signalfd(urd_cx_signals(cx));
    if (fd < 0) return urd_err_from_net_errno(-fd);
    while (err == URD_OK) {
        unsigned ready;
        int taken = try_take(fd);
        if (taken > 0) {
            *ret_signal = taken;
            break;
        }
        if (taken == -EAGAIN) {
            err = urd_watch_fd(cx, fd, URD_FD_READ, deadline_ns, &ready);
        } else if (taken != -EINTR) {
            err = urd_err_from_net_errno(-taken);
        }
    }
    close(fd);
    return err;
}
