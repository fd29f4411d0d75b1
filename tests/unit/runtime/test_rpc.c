/* The front of the RPC gate: what it refuses never reaches the implementation behind it. */
#include <string.h>

#include "runtime/rpc.h"
#include "tests/unit/runtime/in_tasks.h"

struct behind {
    uint32_t listens, dials, calls, closes;
};

static urd_err listen_behind(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                             uint16_t *ret_port, void **ret_server)
{
    (void)cx;
    (void)endpoint;
    struct behind *b = impl;
    b->listens++;
    *ret_port = 7000;
    *ret_server = b;
    return URD_OK;
}
static urd_err dial_behind(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                           void **ret_client)
{
    (void)cx;
    (void)endpoint;
    struct behind *b = impl;
    b->dials++;
    *ret_client = b;
    return URD_OK;
}
static urd_err call_behind(void *client, struct urd_cx *cx, const void *request, size_t request_len,
                           uint64_t deadline_ns, struct urd_buffer *ret)
{
    (void)cx;
    (void)deadline_ns;
    struct behind *b = client;
    b->calls++;
    urd_err err = urd_buffer_append(ret, request, request_len);
    return request_len == 0 ? URD_E_UNREACHABLE : err; /* its buffer is not handed on */
}
static bool connected_behind(const void *client)
{
    return ((const struct behind *)client)->calls > 0;
}
static void close_behind(void *impl, struct urd_cx *cx)
{
    (void)cx;
    ((struct behind *)impl)->closes++;
}
static urd_err serve_behind(void *server, struct urd_cx *cx, uint32_t inflight_max,
                            urd_rpc_handler handler, void *arg)
{
    (void)server;
    (void)cx;
    (void)inflight_max;
    (void)handler;
    (void)arg;
    return URD_E_CANCELLED;
}
static urd_err rotate_behind(void *server, struct urd_cx *cx, const char *cert, const char *key)
{
    (void)server;
    (void)cx;
    (void)cert;
    (void)key;
    return URD_OK;
}

static const struct urd_rpc_ops ops = {
    .listen = listen_behind,
    .serve = serve_behind,
    .rotate = rotate_behind,
    .server_close = close_behind,
    .dial = dial_behind,
    .call = call_behind,
    .connected = connected_behind,
    .client_close = close_behind,
};

static urd_err try_listen(struct urd_cx *cx, const char *url, const char *cert)
{
    struct urd_rpc_endpoint endpoint = { .url = url, .cert_pem = cert, .key_pem = cert };
    struct urd_rpc_server *server;
    uint16_t port = 0;
    urd_err err = urd_rpc_listen(cx, &endpoint, &port, &server);
    if (err != URD_OK) return err;
    CHECK(port == 7000);
    CHECK(urd_rpc_serve(cx, server, 0, NULL, NULL) == URD_E_INVALID);
    CHECK(urd_rpc_serve(cx, server, URD_RPC_INFLIGHT_MAX + 1, NULL, NULL) == URD_E_INVALID);
    CHECK(urd_rpc_serve(cx, server, 1, NULL, NULL) == URD_E_CANCELLED);
    CHECK(urd_rpc_server_rotate(cx, server, NULL, "key") == URD_E_CONFIG);
    CHECK(urd_rpc_server_rotate(cx, server, "cert", "key") == URD_OK);
    urd_rpc_server_close(cx, server);
    return URD_OK;
}

static urd_err try_dial(struct urd_cx *cx, const char *url, const char *name, const char *ca)
{
    struct urd_rpc_endpoint endpoint = { .url = url, .server_name = name, .ca_pem = ca };
    struct urd_rpc_client *client;
    urd_err err = urd_rpc_dial(cx, &endpoint, &client);
    if (err == URD_OK) urd_rpc_client_close(cx, client);
    return err;
}

static urd_err endpoints(struct urd_cx *cx, void *arg)
{
    struct behind *b = arg;
    CHECK(try_listen(cx, "tcp://127.0.0.1:0", NULL) == URD_OK);
    CHECK(try_listen(cx, "tcp://[::1]:0", NULL) == URD_OK);
    CHECK(try_listen(cx, "tls+tcp://0.0.0.0:7000", "pem") == URD_OK);
    CHECK(b->listens == 3 && b->closes == 3);
    CHECK(try_listen(cx, "tcp://0.0.0.0:7000", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tcp://[::]:7000", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tcp://localhost.example.org:7000", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tcp://127.0.0.1.example.org:7000", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tcp://127.0.0.1", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tcp://[]:1", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tcp://:1", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "tls+tcp://0.0.0.0:7000", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, "inproc://x", NULL) == URD_E_CONFIG);
    CHECK(try_listen(cx, NULL, NULL) == URD_E_CONFIG);
    CHECK(b->listens == 3);
    CHECK(try_dial(cx, "tcp://127.0.0.1:7000", NULL, NULL) == URD_OK);
    CHECK(try_dial(cx, "tls+tcp://node:7000", "node", "pem") == URD_OK);
    CHECK(b->dials == 2 && b->closes == 5);
    CHECK(try_dial(cx, "tls+tcp://node:7000", NULL, "pem") == URD_E_CONFIG);
    CHECK(try_dial(cx, "tls+tcp://node:7000", "", "pem") == URD_E_CONFIG);
    CHECK(try_dial(cx, "tls+tcp://node:7000", "node", NULL) == URD_E_CONFIG);
    CHECK(try_dial(cx, "tcp://192.168.0.1:7000", NULL, NULL) == URD_E_CONFIG);
    CHECK(b->dials == 2);
    return URD_OK;
}

static urd_err calls(struct urd_cx *cx, void *arg)
{
    struct behind *b = arg;
    struct urd_rpc_endpoint endpoint = { .url = "tcp://127.0.0.1:7000" };
    struct urd_rpc_client *client;
    struct urd_buffer reply = { .len = 77 };
    CHECK(urd_rpc_dial(cx, &endpoint, &client) == URD_OK);
    CHECK(!urd_rpc_client_connected(client));
    static char large[URD_RPC_FRAME_BYTES_MAX + 1];
    CHECK(urd_rpc_call(cx, client, large, sizeof large, URD_FOREVER, &reply) == URD_E_TOO_BIG);
    CHECK(b->calls == 0);
    CHECK(urd_rpc_call(cx, client, "", 0, URD_FOREVER, &reply) == URD_E_UNREACHABLE);
    CHECK(reply.len == 77); /* written on success only */
    CHECK(urd_rpc_call(cx, client, "hi", 2, URD_FOREVER, &reply) == URD_OK);
    CHECK(reply.len == 2 && memcmp(reply.bytes, "hi", 2) == 0);
    CHECK(urd_rpc_client_connected(client));
    urd_buffer_done(&reply);
    urd_cx_narrow(cx, URD_GATES_ALL & ~(unsigned)URD_GATE_REMOTE, URD_BUDGET_INFINITE);
    CHECK(urd_rpc_call(cx, client, "hi", 2, URD_FOREVER, &reply) == URD_E_DENIED);
    CHECK(urd_rpc_dial(cx, &endpoint, &client) == URD_E_DENIED);
    CHECK(b->calls == 2);
    urd_rpc_client_close(cx, client);
    urd_rpc_client_close(cx, NULL);
    urd_rpc_server_close(cx, NULL);
    return URD_OK;
}

static struct urd_outcome run_over(urd_task_fn body, struct behind *b)
{
    static const int no_signals[] = { 0 };
    struct urd_world world = urd_world_real();
    struct urd_outcome outcome;
    world.rpc = &ops;
    world.rpc_impl = b;
    struct urd_runtime_options options = { .workers = 1, .world = &world, .signals = no_signals };
    assert_int_equal(urd_runtime_run(&options, body, b, &outcome), URD_OK);
    return outcome;
}

static void without_tls_only_to_oneself_and_with_it_only_knowing_whom(void **state)
{
    (void)state;
    struct behind b = { 0 };
    assert_int_equal(run_over(endpoints, &b).err, URD_OK);
}

static void a_call_is_refused_before_it_is_sent(void **state)
{
    (void)state;
    struct behind b = { 0 };
    assert_int_equal(run_over(calls, &b).err, URD_OK);
}

static urd_err no_rpc_here(struct urd_cx *cx, void *arg)
{
    (void)arg;
    return try_dial(cx, "tcp://127.0.0.1:7000", NULL, NULL);
}

static void a_world_without_rpc_says_so(void **state)
{
    (void)state;
    assert_int_equal(run_with(1, no_rpc_here, NULL).err, URD_E_UNSUPPORTED);
}

/* ---- buffers ---- */

static void a_buffer_grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct urd_buffer buffer = { 0 };
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(urd_buffer_append(&buffer, &i, sizeof i), URD_OK);
    assert_int_equal(buffer.len, 10000 * sizeof(uint32_t));
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t at;
        memcpy(&at, buffer.bytes + i * sizeof i, sizeof at);
        assert_int_equal(at, i);
    }
    uint8_t *place = urd_buffer_extend(&buffer, 3);
    assert_ptr_equal(place, buffer.bytes + 10000 * sizeof(uint32_t));
    assert_int_equal(urd_buffer_append(&buffer, NULL, 0), URD_OK);
    assert_null(urd_buffer_extend(&buffer, SIZE_MAX));
    assert_int_equal(buffer.len, 10000 * sizeof(uint32_t) + 3);
    urd_buffer_done(&buffer);
    assert_null(buffer.bytes);
    assert_int_equal(buffer.cap, 0);
    assert_non_null(urd_buffer_extend(&buffer, 0));
    urd_buffer_done(&buffer);
    urd_buffer_done(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_tls_only_to_oneself_and_with_it_only_knowing_whom),
        cmocka_unit_test(a_call_is_refused_before_it_is_sent),
        cmocka_unit_test(a_world_without_rpc_says_so),
        cmocka_unit_test(a_buffer_grows_and_keeps_what_it_has),
    };
    return cmocka_run_group_tests_name("runtime/rpc", tests, NULL, NULL);
}
