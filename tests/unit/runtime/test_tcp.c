/* TCP over loopback: bytes arrive whole, ends and errors are told, many at once. */
#include <string.h>

#include "runtime/net.h"
#include "tests/support/in_task.h"

#define CONNECTIONS 32u
#define ECHO_BYTES  (512u << 10)

static struct urd_tcp_listener *listening(struct urd_cx *cx, struct urd_address *ret)
{
    struct urd_address any;
    struct urd_tcp_listener *listener;
    CHECK_OK(urd_address_parse("127.0.0.1:0", &any));
    CHECK_OK(urd_tcp_listen(cx, &any, &listener));
    urd_tcp_listener_local(listener, ret);
    return listener;
}

static struct urd_tcp *connected(struct urd_cx *cx, const struct urd_address *to)
{
    struct urd_tcp *tcp;
    CHECK_OK(urd_tcp_connect(cx, to, urd_cx_now(cx) + 2000 * MS, &tcp));
    return tcp;
}

static urd_err echo(struct urd_cx *cx, void *arg)
{
    struct urd_tcp *tcp = arg;
    uint8_t bytes[4096];
    size_t len;
    for (;;) {
        CHECK_OK(urd_tcp_read(cx, tcp, bytes, sizeof bytes, URD_FOREVER, &len));
        if (len == 0) break;
        CHECK_OK(urd_tcp_write(cx, tcp, bytes, len, URD_FOREVER));
    }
    urd_tcp_close(tcp);
    return URD_OK;
}

struct echo_test {
    struct urd_tcp_listener *listener;
    struct urd_address address;
    struct urd_scope *scope;
};

/* One of several that accept on one listener. */
static urd_err accept_some(struct urd_cx *cx, void *arg)
{
    struct echo_test *test = arg;
    for (unsigned i = 0; i < CONNECTIONS / 4; i++) {
        struct urd_tcp *tcp;
        CHECK_OK(urd_tcp_accept(cx, test->listener, &tcp));
        CHECK_OK(urd_spawn(cx, test->scope, NULL, echo, tcp));
    }
    return URD_OK;
}

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static urd_err write_pattern(struct urd_cx *cx, void *arg)
{
    uint8_t bytes[10007];
    for (size_t at = 0; at < ECHO_BYTES;) {
        size_t len = ECHO_BYTES - at < sizeof bytes ? ECHO_BYTES - at : sizeof bytes;
        for (size_t i = 0; i < len; i++)
            bytes[i] = pattern(at + i);
        CHECK_OK(urd_tcp_write(cx, arg, bytes, len, URD_FOREVER));
        at += len;
    }
    return URD_OK;
}

/* Write and read at once: more than the socket's buffers hold, so one alone would never end. */
static urd_err ask(struct urd_cx *cx, void *arg)
{
    struct echo_test *test = arg;
    struct urd_tcp *tcp = connected(cx, &test->address);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, write_pattern, tcp));
    for (size_t at = 0; at < ECHO_BYTES;) {
        uint8_t bytes[5000];
        size_t len;
        CHECK_OK(urd_tcp_read(cx, tcp, bytes, sizeof bytes, URD_FOREVER, &len));
        CHECK(len > 0);
        for (size_t i = 0; i < len; i++)
            CHECK(bytes[i] == pattern(at + i));
        at += len;
    }
    urd_region_join(cx, r, NULL);
    urd_tcp_close(tcp);
    return URD_OK;
}

static urd_err echo_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct echo_test test;
    test.listener = listening(cx, &test.address);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    test.scope = urd_region_scope(r);
    for (unsigned i = 0; i < 4; i++)
        CHECK_OK(urd_spawn(cx, test.scope, NULL, accept_some, &test));
    for (unsigned i = 0; i < CONNECTIONS; i++)
        CHECK_OK(urd_spawn(cx, test.scope, NULL, ask, &test));
    struct urd_outcome outcome;
    urd_region_join(cx, r, &outcome);
    CHECK(outcome.kind == URD_OUTCOME_OK);
    urd_tcp_listener_close(test.listener);
    return URD_OK;
}

static void many_echoes_at_once_return_every_byte(void **state)
{
    (void)state;
    run_in_task(echo_body, NULL);
}

static urd_err errors_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_address address;
    struct urd_tcp_listener *listener = listening(cx, &address), *second = NULL;
    struct urd_tcp *tcp = NULL, *other = NULL;
    uint8_t byte = 0;
    size_t len = 99;

    CHECK_ERR(urd_tcp_listen(cx, &address, &second), URD_E_BUSY);
    tcp = connected(cx, &address);
    CHECK_OK(urd_tcp_accept(cx, listener, &other));
    struct urd_address peer;
    urd_tcp_peer(tcp, &peer);
    CHECK(urd_address_equal(&peer, &address));
    CHECK_ERR(urd_tcp_read(cx, tcp, &byte, 1, urd_cx_now(cx) + 20 * MS, &len), URD_E_TIMEOUT);
    CHECK(len == 99);

    /* The end of the stream is no error; writing to one that has gone is. */
    urd_tcp_close(other);
    CHECK_OK(urd_tcp_read(cx, tcp, &byte, 1, URD_FOREVER, &len));
    CHECK(len == 0);
    urd_err err = URD_OK;
    for (int i = 0; i < 100 && err == URD_OK; i++) {
        err = urd_tcp_write(cx, tcp, &byte, 1, URD_FOREVER);
        CHECK_OK(urd_sleep(cx, MS));
    }
    CHECK(err == URD_E_CLOSED);
    urd_tcp_close(tcp);

    urd_tcp_listener_close(listener);
    CHECK_ERR(urd_tcp_connect(cx, &address, URD_FOREVER, &tcp), URD_E_UNREACHABLE);
    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_NET, URD_BUDGET_INFINITE);
    CHECK_ERR(urd_tcp_connect(cx, &address, URD_FOREVER, &tcp), URD_E_DENIED);
    CHECK_ERR(urd_tcp_listen(cx, &address, &second), URD_E_DENIED);
    return URD_OK;
}

static void ends_and_errors_are_told(void **state)
{
    (void)state;
    run_in_task(errors_body, NULL);
}

static urd_err stalled_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_address address;
    struct urd_tcp_listener *listener = listening(cx, &address);
    struct urd_tcp *tcp = connected(cx, &address), *other;
    CHECK_OK(urd_tcp_accept(cx, listener, &other));
    size_t len = 64u << 20; /* more than both buffers hold */
    uint8_t *bytes = calloc(1, len);
    CHECK_ERR(urd_tcp_write(cx, tcp, bytes, len, urd_cx_now(cx) + 50 * MS), URD_E_TIMEOUT);
    free(bytes);
    urd_tcp_close(tcp);
    urd_tcp_close(other);
    urd_tcp_listener_close(listener);
    return URD_OK;
}

static void a_writer_whose_peer_reads_nothing_meets_its_deadline(void **state)
{
    (void)state;
    run_in_task(stalled_body, NULL);
}

static urd_err accept_until_cancelled(struct urd_cx *cx, void *arg)
{
    struct urd_tcp *tcp;
    CHECK_ERR(urd_tcp_accept(cx, arg, &tcp), URD_E_CANCELLED);
    return URD_E_CANCELLED;
}

static urd_err cancel_body(struct urd_cx *cx, void *arg)
{
    (void)arg;
    struct urd_address address;
    struct urd_tcp_listener *listener = listening(cx, &address);
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, accept_until_cancelled, listener));
    CHECK_OK(urd_sleep(cx, 20 * MS));
    urd_region_close(cx, r, NULL);
    struct urd_tcp *tcp = connected(cx, &address), *other;
    CHECK_OK(urd_tcp_accept(cx, listener, &other)); /* the listener is as good as before */
    urd_tcp_close(tcp);
    urd_tcp_close(other);
    urd_tcp_listener_close(listener);
    return URD_OK;
}

static void a_cancelled_accept_leaves_the_listener_whole(void **state)
{
    (void)state;
    run_in_task(cancel_body, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_echoes_at_once_return_every_byte),
        cmocka_unit_test(ends_and_errors_are_told),
        cmocka_unit_test(a_writer_whose_peer_reads_nothing_meets_its_deadline),
        cmocka_unit_test(a_cancelled_accept_leaves_the_listener_whole),
    };
    return cmocka_run_group_tests_name("runtime/tcp", tests, NULL, NULL);
}
