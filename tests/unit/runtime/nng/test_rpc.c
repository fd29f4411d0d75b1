/* Calls and answers over loopback: limits, many at once, deadlines, cancels, lost servers. */
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/runtime/nng/service.h"

static void echo_steps(struct urd_cx *cx, struct service *service)
{
    struct urd_rpc_client *client = dialled(cx, service, NULL, NULL);
    for (int i = 0; i < 50; i++)
        CHECK_OK(call(cx, client, "echo:hello", FAR));
    CHECK(urd_rpc_client_connected(client));

    /* Nothing, and as much as there may be, both ways. */
    struct urd_buffer reply;
    CHECK_OK(urd_rpc_call(cx, client, "", 0, urd_cx_now(cx) + FAR, &reply));
    CHECK(reply.len == 0);
    urd_buffer_done(&reply);
    size_t len = URD_RPC_FRAME_BYTES_MAX;
    uint8_t *request = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        request[i] = (uint8_t)(i * 31 >> 5);
    CHECK_OK(urd_rpc_call(cx, client, request, len, urd_cx_now(cx) + FAR, &reply));
    CHECK(reply.len == len && memcmp(reply.bytes, request, len) == 0);
    urd_buffer_done(&reply);

    /* One byte more is refused here: the server sees nothing of it, the connection stands. */
    CHECK_ERR(urd_rpc_call(cx, client, request, len + 1, urd_cx_now(cx) + FAR, &reply),
              URD_E_TOO_BIG);
    CHECK(urd_rpc_client_connected(client));
    CHECK_OK(call(cx, client, "echo:again", FAR));
    CHECK(atomic_load(&service->handled) == 53);

    /* A reply over the limit becomes an empty one. */
    char order[32];
    snprintf(order, sizeof order, "big:%u", URD_RPC_FRAME_BYTES_MAX + 1);
    CHECK_OK(urd_rpc_call(cx, client, order, strlen(order), urd_cx_now(cx) + FAR, &reply));
    CHECK(reply.len == 0);
    urd_buffer_done(&reply);
    CHECK_OK(call(cx, client, "echo:again", FAR));
    free(request);
    urd_rpc_client_close(cx, client);
}

static urd_err echo_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, NULL, NULL);
    while_serving(cx, &service, echo_steps);
    return URD_OK;
}

static void calls_are_answered_up_to_the_frame_limit(void **state)
{
    (void)state;
    run_with_rpc(echo_body, NULL);
}

static void many_steps(struct urd_cx *cx, struct service *service)
{
    enum { CALLS = 200, ROUNDS = 3 };
    struct urd_rpc_client *client = dialled(cx, service, NULL, NULL);
    struct caller *callers = calloc(CALLS, sizeof *callers);
    for (int round = 0; round < ROUNDS; round++) {
        URD_REGION(r);
        CHECK(urd_region_open(cx, NULL, r));
        for (int i = 0; i < CALLS; i++) {
            callers[i] = (struct caller){ .client = client, .within_ns = FAR };
            snprintf(callers[i].text, sizeof callers[i].text, "sleep:%d:%d", 1 + i % 7, i);
            CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, call_task, &callers[i]));
        }
        struct urd_outcome outcome;
        urd_region_join(cx, r, &outcome);
        CHECK(outcome.kind == URD_OUTCOME_OK);
    }
    CHECK(atomic_load(&service->handled) == ROUNDS * CALLS);
    CHECK(atomic_load(&service->running_most) <= service->inflight_max);
    CHECK(atomic_load(&service->running_most) > 1);
    free(callers);
    urd_rpc_client_close(cx, client);
}

static urd_err many_body(struct urd_cx *cx, void *arg)
{
    struct service service = { .inflight_max = *(uint32_t *)arg };
    listen_on(cx, &service, 0, NULL, NULL);
    while_serving(cx, &service, many_steps);
    return URD_OK;
}

static void two_hundred_calls_at_once_are_each_answered_once(void **state)
{
    (void)state;
    uint32_t inflight_max = 256;
    run_with_rpc(many_body, &inflight_max);
}

static void at_most_inflight_max_are_handled_at_once(void **state)
{
    (void)state;
    uint32_t inflight_max = 5;
    run_with_rpc(many_body, &inflight_max);
}

static void slow_steps(struct urd_cx *cx, struct service *service)
{
    struct urd_rpc_client *client = dialled(cx, service, NULL, NULL);
    CHECK_OK(call(cx, client, "echo:", FAR));
    uint64_t start_ns = urd_cx_now(cx);
    CHECK_ERR(call(cx, client, "sleep:300", 50 * MS), URD_E_TIMEOUT);
    CHECK(urd_cx_now(cx) - start_ns < 250 * MS);
    for (int i = 0; i < 30; i++) /* the late reply to the first is not taken for one of these */
        CHECK_OK(call(cx, client, i % 2 ? "sleep:20:x" : "echo:y", FAR));
    urd_rpc_client_close(cx, client);
}

static urd_err slow_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, NULL, NULL);
    while_serving(cx, &service, slow_steps);
    CHECK(atomic_load(&service.handled) == 32);
    return URD_OK;
}

static void a_slow_handler_meets_the_clients_deadline_and_its_reply_goes_nowhere(void **state)
{
    (void)state;
    run_with_rpc(slow_body, NULL);
}

static urd_err call_until_cancelled(struct urd_cx *cx, void *arg)
{
    struct urd_buffer reply;
    CHECK_ERR(urd_rpc_call(cx, arg, "hold", 4, URD_FOREVER, &reply), URD_E_CANCELLED);
    return URD_E_CANCELLED;
}

static void cancel_steps(struct urd_cx *cx, struct service *service)
{
    struct urd_rpc_client *client = dialled(cx, service, NULL, NULL);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    for (int i = 0; i < 20; i++)
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, call_until_cancelled, client));
    while (atomic_load(&service->running) < 20)
        CHECK_OK(urd_sleep(cx, MS));
    struct urd_outcome outcome;
    urd_region_close(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    CHECK_OK(call(cx, client, "echo:after", FAR));
    urd_rpc_client_close(cx, client);
}

static urd_err cancel_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, NULL, NULL);
    while_serving(cx, &service, cancel_steps);
    CHECK(atomic_load(&service.cancelled) == 20); /* the handlers, when serving was cancelled */
    CHECK(atomic_load(&service.running) == 0);
    return URD_OK;
}

static void cancelled_calls_leave_and_cancelled_serving_ends_its_handlers(void **state)
{
    (void)state;
    run_with_rpc(cancel_body, NULL);
}

/* Serving that is cancelled answers what it had taken, and the server can be served again. */
static urd_err call_held(struct urd_cx *cx, void *arg)
{
    struct urd_buffer reply;
    CHECK_OK(urd_rpc_call(cx, arg, "hold", 4, urd_cx_now(cx) + FAR, &reply));
    CHECK(reply.len == 9 && memcmp(reply.bytes, "cancelled", 9) == 0);
    urd_buffer_done(&reply);
    return URD_OK;
}

static urd_err drain_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    enum { CALLS = 40 };
    struct service service = { .inflight_max = 100 };
    listen_on(cx, &service, 0, NULL, NULL);
    struct urd_rpc_client *client = dialled(cx, &service, NULL, NULL);
    URD_REGION(calling);
    URD_REGION(serving);
    CHECK(urd_region_open(cx, NULL, calling));
    CHECK(urd_region_open(cx, NULL, serving));
    CHECK_OK(urd_spawn(cx, urd_region_scope(serving), NULL, serve_task, &service));
    for (int i = 0; i < CALLS; i++)
        CHECK_OK(urd_spawn(cx, urd_region_scope(calling), NULL, call_held, client));
    while (atomic_load(&service.running) < CALLS)
        CHECK_OK(urd_sleep(cx, MS));
    struct urd_outcome outcome;
    urd_region_close(cx, serving, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_CANCELLED);
    urd_region_join(cx, calling, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);

    URD_REGION(again);
    CHECK(urd_region_open(cx, NULL, again));
    CHECK_OK(urd_spawn(cx, urd_region_scope(again), NULL, serve_task, &service));
    CHECK_OK(call(cx, client, "echo:again", FAR));
    urd_region_close(cx, again, NULL);
    urd_rpc_client_close(cx, client);
    urd_rpc_server_close(cx, service.server);
    return URD_OK;
}

static void cancelled_serving_answers_what_it_had_taken(void **state)
{
    (void)state;
    run_with_rpc(drain_body, NULL);
}

static urd_err call_until_closed(struct urd_cx *cx, void *arg)
{
    struct urd_buffer reply;
    CHECK_ERR(urd_rpc_call(cx, arg, "hold", 4, URD_FOREVER, &reply), URD_E_CLOSED);
    return URD_OK;
}

static void close_steps(struct urd_cx *cx, struct service *service)
{
    struct urd_rpc_client *client = dialled(cx, service, NULL, NULL);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    for (int i = 0; i < 20; i++)
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, call_until_closed, client));
    while (atomic_load(&service->running) < 20)
        CHECK_OK(urd_sleep(cx, MS));
    urd_rpc_client_close(cx, client);
    struct urd_outcome outcome;
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
}

static urd_err close_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, NULL, NULL);
    while_serving(cx, &service, close_steps);

    /* Nobody serves there any more: calls that wait for a connection end as well. */
    struct urd_rpc_client *client = dialled(cx, &service, NULL, NULL);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    for (int i = 0; i < 5; i++)
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, call_until_closed, client));
    CHECK_OK(urd_sleep(cx, 50 * MS));
    uint64_t start_ns = urd_cx_now(cx);
    urd_rpc_client_close(cx, client);
    CHECK(urd_cx_now(cx) - start_ns < 500 * MS);
    urd_region_join(cx, r, NULL);
    urd_rpc_client_close(cx, NULL);
    urd_rpc_server_close(cx, NULL);
    return URD_OK;
}

static void closing_a_client_ends_its_calls(void **state)
{
    (void)state;
    run_with_rpc(close_body, NULL);
}

/* ---- lost servers ---- */

static urd_err never_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct service service = { 0 };
    listen_on(cx, &service, 0, NULL, NULL);
    urd_rpc_server_close(cx, service.server);
    struct urd_rpc_client *client = dialled(cx, &service, NULL, NULL);
    uint64_t start_ns = urd_cx_now(cx);
    CHECK_ERR(call(cx, client, "echo:", FAR), URD_E_UNREACHABLE);
    uint64_t took_ns = urd_cx_now(cx) - start_ns;
    CHECK(took_ns >= 500 * MS && took_ns < 2500 * MS);
    start_ns = urd_cx_now(cx);
    CHECK_ERR(call(cx, client, "echo:", 50 * MS), URD_E_UNREACHABLE);
    CHECK(urd_cx_now(cx) - start_ns < 500 * MS);
    CHECK(!urd_rpc_client_connected(client));
    urd_rpc_client_close(cx, client);
    return URD_OK;
}

static void a_server_never_there_is_unreachable_within_the_grace(void **state)
{
    (void)state;
    run_with_rpc(never_body, NULL);
}

/* This program again, as a process that serves on @port and can be killed. */
static pid_t server_process(uint16_t port, uint16_t *ret_port)
{
    int out[2];
    char text[8], line[16] = "";
    pid_t pid;
    snprintf(text, sizeof text, "%u", port);
    char *argv[] = { "test_rpc", "serve", text, NULL };
    posix_spawn_file_actions_t actions;
    CHECK(pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    CHECK(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    CHECK(read(out[0], line, sizeof line - 1) > 0);
    close(out[0]);
    *ret_port = (uint16_t)strtoul(line, NULL, 10);
    CHECK(*ret_port != 0);
    return pid;
}

static void kill_process(pid_t pid)
{
    int status;
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
}

static urd_err served_process_body(struct urd_cx *cx, void *arg)
{
    struct service service = { 0 };
    listen_on(cx, &service, *(uint16_t *)arg, NULL, NULL);
    printf("%u\n", service.port);
    fflush(stdout);
    return urd_rpc_serve(cx, service.server, 64, handle, &service);
}

static int serve_as_process(const char *port_text)
{
    uint16_t port = (uint16_t)strtoul(port_text, NULL, 10);
    struct urd_world world = urd_world_real();
    world.rpc = urd_nng_rpc_ops();
    const struct urd_runtime_options options = { .workers = 1, .world = &world };
    return urd_runtime_run(&options, served_process_body, &port, NULL) != URD_OK;
}

static urd_err killed_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    enum { CALLS = 30 };
    struct service service = { 0 };
    struct caller callers[CALLS];
    pid_t pid = server_process(0, &service.port);
    snprintf(service.url, sizeof service.url, "tcp://127.0.0.1:%u", service.port);
    struct urd_rpc_client *client = dialled(cx, &service, NULL, NULL);
    CHECK_OK(call(cx, client, "echo:", FAR));

    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    for (int i = 0; i < CALLS; i++) {
        callers[i] = (struct caller){
            .client = client, .text = "hold", .within_ns = FAR, .expected = URD_E_UNREACHABLE
        };
        CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, call_task, &callers[i]));
    }
    CHECK_OK(urd_sleep(cx, 100 * MS));
    uint64_t killed_ns = urd_cx_now(cx);
    kill_process(pid);
    struct urd_outcome outcome;
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    for (int i = 0; i < CALLS; i++) {
        CHECK(callers[i].ended_ns >= killed_ns);
        CHECK(callers[i].ended_ns - killed_ns < 1000 * MS);
    }
    CHECK_ERR(call(cx, client, "echo:", FAR), URD_E_UNREACHABLE);
    CHECK(!urd_rpc_client_connected(client));

    pid = server_process(service.port, &service.port);
    uint64_t back_ns = urd_cx_now(cx);
    urd_err err;
    do {
        err = call(cx, client, "echo:back", FAR);
        CHECK(err == URD_OK || err == URD_E_UNREACHABLE);
    } while (err != URD_OK && urd_cx_now(cx) - back_ns < 5000 * MS);
    CHECK_OK(err);
    urd_rpc_client_close(cx, client);
    kill_process(pid);
    return URD_OK;
}

static void a_killed_server_is_unreachable_at_once_and_works_again_when_it_is_back(void **state)
{
    (void)state;
    run_with_rpc(killed_body, NULL);
}

/* ---- what may not be ---- */

static urd_err refused_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_rpc_client *client = NULL;
    struct urd_rpc_server *server = NULL;
    const char *const urls[] = { "",
                                 "tcp://",
                                 "tcp://192.0.2.1:7000",
                                 "tcp://0.0.0.0:0",
                                 "tcp://*:7000",
                                 "tcp://localhost:7000",
                                 "tcp://127.0.0.1",
                                 "ipc:///tmp/urd-test",
                                 "inproc://urd",
                                 "ws://127.0.0.1:1/x",
                                 "nonsense",
                                 NULL };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        const struct urd_rpc_endpoint endpoint = { .url = urls[i] };
        CHECK_ERR(urd_rpc_dial(cx, &endpoint, &client), URD_E_CONFIG);
        CHECK_ERR(urd_rpc_listen(cx, &endpoint, NULL, &server), URD_E_CONFIG);
    }
    struct service service = { 0 };
    listen_on(cx, &service, 0, NULL, NULL);
    CHECK_ERR(urd_rpc_listen(cx, &(struct urd_rpc_endpoint){ .url = service.url }, NULL, &server),
              URD_E_BUSY);
    CHECK_ERR(urd_rpc_serve(cx, service.server, 0, handle, &service), URD_E_INVALID);
    CHECK_ERR(urd_rpc_server_rotate(cx, service.server, "x", "y"), URD_E_STATE);
    urd_rpc_server_close(cx, service.server);
    CHECK(client == NULL && server == NULL);

    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_REMOTE, URD_BUDGET_INFINITE);
    CHECK_ERR(urd_rpc_dial(cx, &(struct urd_rpc_endpoint){ .url = service.url }, &client),
              URD_E_DENIED);
    return URD_OK;
}

static void only_loopback_goes_without_tls(void **state)
{
    (void)state;
    run_with_rpc(refused_body, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0) return serve_as_process(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_up_to_the_frame_limit),
        cmocka_unit_test(two_hundred_calls_at_once_are_each_answered_once),
        cmocka_unit_test(at_most_inflight_max_are_handled_at_once),
        cmocka_unit_test(a_slow_handler_meets_the_clients_deadline_and_its_reply_goes_nowhere),
        cmocka_unit_test(cancelled_calls_leave_and_cancelled_serving_ends_its_handlers),
        cmocka_unit_test(cancelled_serving_answers_what_it_had_taken),
        cmocka_unit_test(closing_a_client_ends_its_calls),
        cmocka_unit_test(a_server_never_there_is_unreachable_within_the_grace),
        cmocka_unit_test(a_killed_server_is_unreachable_at_once_and_works_again_when_it_is_back),
        cmocka_unit_test(only_loopback_goes_without_tls),
    };
    return cmocka_run_group_tests_name("runtime/nng/rpc", tests, NULL, NULL);
}
