/* The front of the RPC gate: whether the cx may, whether the request is legal; then the world's
 * implementation. */
#include "runtime/rpc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/scheduler_internal.h"

#define HOST_BYTES_MAX 64u /* a numeric address; names are for tls+tcp, which checks them */

struct urd_rpc_server {
    const struct urd_rpc_ops *ops;
    void *impl;
};
struct urd_rpc_client {
    const struct urd_rpc_ops *ops;
    void *impl;
};

/* "127.0.0.1:7000" or "[::1]:7000": whether the address is this machine's own. */
static bool is_loopback(const char *host_port)
{
    char host[HOST_BYTES_MAX];
    const char *begin = host_port, *end = strrchr(host_port, ':');
    if (end == NULL) return false;
    bool six = *begin == '[';
    if (six) {
        if (end == begin || end[-1] != ']') return false;
        begin++;
        end--;
    }
    if (end <= begin || (size_t)(end - begin) >= sizeof host) return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    struct in_addr v4;
    struct in6_addr v6;
    if (six) return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    return inet_pton(AF_INET, host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == IN_LOOPBACKNET;
}

/* Without TLS only to oneself; with it, only knowing whom to trust. */
static bool endpoint_is_legal(const struct urd_rpc_endpoint *endpoint, bool dialling)
{
    static const char tls[] = "tls+tcp://", plain[] = "tcp://";
    if (endpoint->url == NULL) return false;
    if (strncmp(endpoint->url, plain, sizeof plain - 1) == 0)
        return is_loopback(endpoint->url + sizeof plain - 1);
    if (strncmp(endpoint->url, tls, sizeof tls - 1) != 0) return false;
    if (dialling)
        return endpoint->server_name != NULL && endpoint->server_name[0] != '\0' &&
               endpoint->ca_pem != NULL;
    return endpoint->cert_pem != NULL && endpoint->key_pem != NULL;
}

static urd_err gate(struct urd_cx *cx, const struct urd_rpc_ops **ret_ops, void **ret_impl)
{
    const struct urd_world *world = urd_cx_world_(cx);
    if (!urd_cx_gate(cx, URD_GATE_REMOTE)) return URD_E_DENIED;
    if (world->rpc == NULL) return URD_E_UNSUPPORTED;
    *ret_ops = world->rpc;
    *ret_impl = world->rpc_impl;
    return URD_OK;
}

urd_err urd_rpc_listen(struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                       uint16_t *ret_port, struct urd_rpc_server **ret)
{
    const struct urd_rpc_ops *ops;
    void *impl;
    urd_err err = gate(cx, &ops, &impl);
    if (err != URD_OK) return err;
    if (!endpoint_is_legal(endpoint, false)) return URD_E_CONFIG;
    struct urd_rpc_server *server = calloc(1, sizeof *server);
    if (server == NULL) return URD_E_NOMEM;
    server->ops = ops;
    uint16_t port = 0;
    err = ops->listen(impl, cx, endpoint, &port, &server->impl);
    if (err != URD_OK) {
        free(server);
        return err;
    }
    if (ret_port != NULL) *ret_port = port;
    *ret = server;
    return URD_OK;
}

urd_err urd_rpc_serve(struct urd_cx *cx, struct urd_rpc_server *server, uint32_t inflight_max,
                      urd_rpc_handler handler, void *arg)
{
    if (!urd_cx_gate(cx, URD_GATE_REMOTE)) return URD_E_DENIED;
    if (inflight_max == 0 || inflight_max > URD_RPC_INFLIGHT_MAX) return URD_E_INVALID;
    return server->ops->serve(server->impl, cx, inflight_max, handler, arg);
}

urd_err urd_rpc_server_rotate(struct urd_cx *cx, struct urd_rpc_server *server,
                              const char *cert_pem, const char *key_pem)
{
    if (!urd_cx_gate(cx, URD_GATE_REMOTE)) return URD_E_DENIED;
    if (cert_pem == NULL || key_pem == NULL) return URD_E_CONFIG;
    return server->ops->rotate(server->impl, cx, cert_pem, key_pem);
}

void urd_rpc_server_close(struct urd_cx *cx, struct urd_rpc_server *server)
{
    if (server == NULL) return;
    server->ops->server_close(server->impl, cx);
    free(server);
}

urd_err urd_rpc_dial(struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                     struct urd_rpc_client **ret)
{
    const struct urd_rpc_ops *ops;
    void *impl;
    urd_err err = gate(cx, &ops, &impl);
    if (err != URD_OK) return err;
    if (!endpoint_is_legal(endpoint, true)) return URD_E_CONFIG;
    struct urd_rpc_client *client = calloc(1, sizeof *client);
    if (client == NULL) return URD_E_NOMEM;
    client->ops = ops;
    err = ops->dial(impl, cx, endpoint, &client->impl);
    if (err != URD_OK) {
        free(client);
        return err;
    }
    *ret = client;
    return URD_OK;
}

urd_err urd_rpc_call(struct urd_cx *cx, struct urd_rpc_client *client, const void *request,
                     size_t request_len, uint64_t deadline_ns, struct urd_buffer *ret)
{
    if (!urd_cx_gate(cx, URD_GATE_REMOTE)) return URD_E_DENIED;
    if (request_len > URD_RPC_FRAME_BYTES_MAX) return URD_E_TOO_BIG;
    urd_err err = urd_task_checkpoint(urd_task_of(cx));
    if (err != URD_OK) return err;
    struct urd_buffer reply = { 0 };
    err = client->ops->call(client->impl, cx, request, request_len, deadline_ns, &reply);
    if (err == URD_OK)
        *ret = reply;
    else
        urd_buffer_done(&reply);
    return err;
}

bool urd_rpc_client_connected(const struct urd_rpc_client *client)
{
    return client->ops->connected(client->impl);
}

void urd_rpc_client_close(struct urd_cx *cx, struct urd_rpc_client *client)
{
    if (client == NULL) return;
    client->ops->client_close(client->impl, cx);
    free(client);
}
