/* Waiting for descriptors that are not ours, and resolving names. */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/net.h"
#include "tests/support/in_task.h"

static urd_err write_later(struct urd_cx *cx, void *arg)
{
    const int *fd = arg;
    CHECK_OK(urd_sleep(cx, 20 * MS));
    CHECK(write(*fd, "\1\0\0\0\0\0\0", 8) == 8);
    return URD_OK;
}

/* An epoll descriptor with a descriptor in it, as a foreign library hands out. */
static urd_err nested_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) == 0);
    for (int i = 0; i < 3; i++) {
        unsigned ready = 0;
        CHECK_ERR(urd_fd_wait(cx, epoll_fd, URD_FD_READ, urd_cx_now(cx) + 10 * MS, &ready),
                  URD_E_TIMEOUT);
        URD_REGION(r);
        CHECK(urd_region_open(cx, NULL, r));
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, write_later, &event_fd));
        CHECK_OK(urd_fd_wait(cx, epoll_fd, URD_FD_READ, URD_FOREVER, &ready));
        CHECK(ready == URD_FD_READ);
        /* Level-triggered: nothing was read, so it is ready still. */
        CHECK_OK(urd_fd_wait(cx, epoll_fd, URD_FD_READ, URD_FOREVER, &ready));
        uint64_t count;
        CHECK(read(event_fd, &count, sizeof count) == sizeof count);
        urd_region_join(cx, r, NULL);
    }
    close(epoll_fd);
    close(event_fd);
    return URD_OK;
}

static void a_nested_epoll_is_waited_for_level_triggered(void **state)
{
    (void)state;
    run_in_task(nested_body, NULL);
}

static urd_err drain_later(struct urd_cx *cx, void *arg)
{
    char bytes[4096];
    CHECK_OK(urd_sleep(cx, 20 * MS));
    while (read(*(int *)arg, bytes, sizeof bytes) > 0)
        continue;
    return URD_OK;
}

static urd_err directions_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int pair[2];
    unsigned ready = 0;
    char byte = 0;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_OK(urd_fd_wait(cx, pair[0], URD_FD_READ | URD_FD_WRITE, URD_FOREVER, &ready));
    CHECK(ready == URD_FD_WRITE);
    while (write(pair[0], &byte, 1) == 1)
        continue;
    CHECK_ERR(
        urd_fd_wait(cx, pair[0], URD_FD_READ | URD_FD_WRITE, urd_cx_now(cx) + 10 * MS, &ready),
        URD_E_TIMEOUT);
    CHECK(write(pair[1], &byte, 1) == 1);
    CHECK_OK(urd_fd_wait(cx, pair[0], URD_FD_READ | URD_FD_WRITE, URD_FOREVER, &ready));
    CHECK(ready == URD_FD_READ);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, drain_later, &pair[1]));
    CHECK_OK(urd_fd_wait(cx, pair[0], URD_FD_WRITE, urd_cx_now(cx) + 2000 * MS, &ready));
    CHECK(ready == URD_FD_WRITE);
    urd_region_join(cx, r, NULL);
    close(pair[1]); /* a hang-up is something to read */
    CHECK_OK(urd_fd_wait(cx, pair[0], URD_FD_READ, URD_FOREVER, &ready));
    close(pair[0]);
    CHECK_ERR(urd_fd_wait(cx, pair[0], URD_FD_READ, URD_FOREVER, &ready), URD_E_CLOSED);

    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    CHECK_OK(urd_fd_wait(cx, file, URD_FD_READ, URD_FOREVER, &ready));
    close(file);
    return URD_OK;
}

static void each_direction_is_told_for_itself(void **state)
{
    (void)state;
    run_in_task(directions_body, NULL);
}

static urd_err wait_until_cancelled(struct urd_cx *cx, void *arg)
{
    unsigned ready;
    CHECK_ERR(urd_fd_wait(cx, *(int *)arg, URD_FD_READ, URD_FOREVER, &ready), URD_E_CANCELLED);
    return URD_E_CANCELLED;
}

static urd_err cancel_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    unsigned ready;
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, wait_until_cancelled, &fd));
    CHECK_OK(urd_sleep(cx, 10 * MS));
    urd_region_close(cx, r, NULL);
    CHECK(write(fd, "\1\0\0\0\0\0\0", 8) == 8);
    CHECK_OK(urd_fd_wait(cx, fd, URD_FD_READ, URD_FOREVER, &ready));
    close(fd);
    return URD_OK;
}

static void a_cancelled_wait_leaves_the_descriptor_whole(void **state)
{
    (void)state;
    run_in_task(cancel_body, NULL);
}

static urd_err resolve_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_address address = { .len = 7 };
    const char *const bad[] = { "",
                                "localhost",
                                "localhost:",
                                ":7",
                                "localhost:65536",
                                "localhost:x",
                                "local host:1",
                                "a/b:1",
                                "localhost:123456" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_ERR(urd_resolve(cx, bad[i], &address), URD_E_INVALID);
    CHECK(address.len == 7);
    CHECK_OK(urd_resolve(cx, "localhost:7000", &address));
    CHECK(urd_address_is_loopback(&address) && urd_address_port(&address) == 7000);
    CHECK_OK(urd_resolve(cx, "192.0.2.1:80", &address));
    CHECK(urd_address_port(&address) == 80);
    urd_cx_narrow(cx, URD_GATE_NET, URD_BUDGET_INFINITE); /* a name is no file */
    CHECK_OK(urd_resolve(cx, "localhost:7000", &address));
    urd_cx_narrow(cx, 0, URD_BUDGET_INFINITE);
    CHECK_ERR(urd_resolve(cx, "localhost:7000", &address), URD_E_DENIED);
    return URD_OK;
}

static void names_are_resolved_and_malformed_ones_refused(void **state)
{
    (void)state;
    run_in_task(resolve_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_nested_epoll_is_waited_for_level_triggered),
        cmocka_unit_test(each_direction_is_told_for_itself),
        cmocka_unit_test(a_cancelled_wait_leaves_the_descriptor_whole),
        cmocka_unit_test(names_are_resolved_and_malformed_ones_refused),
    };
    return cmocka_run_group_tests_name("runtime/fd_wait", tests, NULL, NULL);
}
