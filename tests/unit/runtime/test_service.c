/* The service manager is told exactly what was said, and silence is no error. */
#include "tests/support/in_task.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/service.h"

static urd_err say_ready(struct urd_cx *cx, void *arg)
{
    *(urd_err *)arg = urd_service_notify(cx, "READY=1");
    return URD_OK;
}

static void a_manager_that_listens_hears_it(void **state)
{
    (void)state;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char name[64], heard[32] = "";
    (void)snprintf(name, sizeof name, "@urd-test-service-%d", (int)getpid());
    memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    (void)setenv("NOTIFY_SOCKET", name, 1);
    urd_err err = URD_E_SYSTEM;
    run_in_task(say_ready, &err);
    assert_int_equal(err, URD_OK);
    assert_int_equal(recv(fd, heard, sizeof heard, MSG_DONTWAIT), 7);
    assert_string_equal(heard, "READY=1");
    (void)close(fd);
}

static void nobody_asked_is_fine_and_a_bad_name_is_not(void **state)
{
    (void)state;
    urd_err err = URD_E_SYSTEM;
    (void)unsetenv("NOTIFY_SOCKET");
    run_in_task(say_ready, &err);
    assert_int_equal(err, URD_OK);
    (void)setenv("NOTIFY_SOCKET", "relative/path", 1);
    run_in_task(say_ready, &err);
    assert_int_equal(err, URD_E_SYSTEM);
    (void)setenv("NOTIFY_SOCKET", "/nonexistent/urd.sock", 1);
    run_in_task(say_ready, &err);
    assert_int_equal(err, URD_E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manager_that_listens_hears_it),
        cmocka_unit_test(nobody_asked_is_fine_and_a_bad_name_is_not),
    };
    return cmocka_run_group_tests_name("runtime/service", tests, NULL, NULL);
}
