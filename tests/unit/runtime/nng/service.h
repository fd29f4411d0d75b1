/* A service to call in tests, and how to reach it.  A request is its order:
 *
 *     sleep:MS...   answered with itself after that time
 *     hold          not answered until its handler is cancelled
 *     big:BYTES     answered with that many bytes
 *     else          answered with itself
 */
#ifndef TESTS_UNIT_RUNTIME_NNG_SERVICE_H
#define TESTS_UNIT_RUNTIME_NNG_SERVICE_H

#include <stdatomic.h>
#include <string.h>

#include "runtime/nng/nng.h"
#include "tests/support/in_task.h"

#define FAR (10000 * MS)

struct service {
    struct urd_rpc_server *server;
    uint16_t port;
    char url[64];
    uint32_t inflight_max;
    atomic_uint running, running_most, handled, cancelled;
};

static inline void run_with_rpc(urd_task_fn body, void *arg)
{
    struct urd_world world = urd_world_real();
    world.rpc = urd_nng_rpc_ops();
    run_in_world(&world, body, arg);
}

static inline void handle(struct urd_cx *cx, void *arg, const uint8_t *request, size_t request_len,
                          struct urd_buffer *reply)
{
    struct service *service = arg;
    unsigned running = atomic_fetch_add(&service->running, 1u) + 1;
    unsigned most = atomic_load(&service->running_most);
    while (running > most && !atomic_compare_exchange_weak(&service->running_most, &most, running))
        continue;

    char order[32] = "";
    memcpy(order, request, request_len < sizeof order - 1 ? request_len : sizeof order - 1);
    urd_err err = URD_OK;
    if (strncmp(order, "sleep:", 6) == 0) {
        err = urd_sleep(cx, strtoul(order + 6, NULL, 10) * MS);
    } else if (strncmp(order, "hold", 4) == 0) {
        err = urd_sleep_until(cx, URD_FOREVER);
    }
    if (err == URD_E_CANCELLED) {
        atomic_fetch_add(&service->cancelled, 1u);
        CHECK_OK(urd_buffer_append(reply, "cancelled", 9));
    } else if (strncmp(order, "big:", 4) == 0) {
        size_t len = strtoul(order + 4, NULL, 10);
        memset(urd_buffer_extend(reply, len), 'b', len);
    } else {
        CHECK_OK(urd_buffer_append(reply, request, request_len));
    }
    atomic_fetch_add(&service->handled, 1u);
    atomic_fetch_sub(&service->running, 1u);
}

static inline urd_err serve_task(struct urd_cx *cx, void *arg)
{
    struct service *service = arg;
    return urd_rpc_serve(cx, service->server, service->inflight_max, handle, service);
}

/* Listen on @port (0: any) of loopback; with @cert_pem and @key_pem over TLS. */
static inline void listen_on(struct urd_cx *cx, struct service *service, uint16_t port,
                             const char *cert_pem, const char *key_pem)
{
    const char *scheme = cert_pem != NULL ? "tls+tcp" : "tcp";
    snprintf(service->url, sizeof service->url, "%s://127.0.0.1:%u", scheme, port);
    const struct urd_rpc_endpoint endpoint = { .url = service->url,
                                               .cert_pem = cert_pem,
                                               .key_pem = key_pem };
    if (service->inflight_max == 0) service->inflight_max = 64;
    CHECK_OK(urd_rpc_listen(cx, &endpoint, &service->port, &service->server));
    CHECK(service->port != 0 && (port == 0 || service->port == port));
    snprintf(service->url, sizeof service->url, "%s://127.0.0.1:%u", scheme, service->port);
}

static inline struct urd_rpc_client *dialled(struct urd_cx *cx, const struct service *service,
                                             const char *ca_pem, const char *server_name)
{
    struct urd_rpc_client *client;
    const struct urd_rpc_endpoint endpoint = { .url = service->url,
                                               .ca_pem = ca_pem,
                                               .server_name = server_name };
    CHECK_OK(urd_rpc_dial(cx, &endpoint, &client));
    return client;
}

/* Call with @text, which must come back. */
static inline urd_err call(struct urd_cx *cx, struct urd_rpc_client *client, const char *text,
                           uint64_t within_ns)
{
    struct urd_buffer reply;
    urd_err err = urd_rpc_call(cx, client, text, strlen(text), urd_cx_now(cx) + within_ns, &reply);
    if (err != URD_OK) return err;
    CHECK(reply.len == strlen(text) && memcmp(reply.bytes, text, reply.len) == 0);
    urd_buffer_done(&reply);
    return URD_OK;
}

/* Serve @service while @steps run, then close it. */
static inline void while_serving(struct urd_cx *cx, struct service *service,
                                 void (*steps)(struct urd_cx *cx, struct service *service))
{
    URD_REGION(r);
    CHECK(urd_region_open(cx, NULL, r));
    CHECK_OK(urd_spawn(cx, urd_region_scope(r), NULL, serve_task, service));
    steps(cx, service);
    urd_region_close(cx, r, NULL);
    urd_rpc_server_close(cx, service->server);
}

/* One of many calls at once. */
struct caller {
    struct urd_rpc_client *client;
    char text[64];
    uint64_t within_ns;
    urd_err expected;
    uint64_t ended_ns;
};

static inline urd_err call_task(struct urd_cx *cx, void *arg)
{
    struct caller *caller = arg;
    CHECK_ERR(call(cx, caller->client, caller->text, caller->within_ns), caller->expected);
    caller->ended_ns = urd_cx_now(cx);
    return URD_OK;
}

#endif
