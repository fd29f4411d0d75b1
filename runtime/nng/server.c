/* A listener: opened, rotated, closed.  Serving is serve.c. */
#include <arpa/inet.h>
#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/blocking_internal.h"
#include "runtime/nng/nng_internal.h"
#include "runtime/nng/server_internal.h"

#define THROWAWAY_TIMEOUT_S 1

static urd_err start_listener(struct urd_nng_server *server, const char *url, nng_tls_config *tls)
{
    int port = 0;
    int rv = nng_listener_create(&server->listener, server->socket, url);
    if (rv != 0) return urd_nng_err(rv);
    if (tls != NULL) rv = nng_listener_set_ptr(server->listener, NNG_OPT_TLS_CONFIG, tls);
    if (rv == 0) rv = nng_listener_set_bool(server->listener, NNG_OPT_TCP_KEEPALIVE, true);
    if (rv == 0) rv = nng_listener_start(server->listener, 0);
    if (rv == 0) rv = nng_listener_get_int(server->listener, NNG_OPT_TCP_BOUND_PORT, &port);
    if (rv == 0) server->port = (uint16_t)port;
    return urd_nng_err(rv);
}

struct listen_call {
    const struct urd_rpc_endpoint *endpoint;
    struct urd_nng_server *server;
    urd_err err;
};

static void listen_run(void *arg)
{
    struct listen_call *call = arg;
    nng_tls_config *tls = NULL;
    if (call->server->tls) {
        call->err = urd_nng_tls_server(call->endpoint->cert_pem, call->endpoint->key_pem, &tls);
        if (call->err != URD_OK) return;
    }
    call->err = urd_nng_err(nng_rep0_open(&call->server->socket));
    if (call->err == URD_OK) {
        call->err = urd_nng_socket_limits(call->server->socket);
        if (call->err == URD_OK) call->err = start_listener(call->server, call->endpoint->url, tls);
        if (call->err != URD_OK) nng_close(call->server->socket);
    }
    if (tls != NULL) nng_tls_config_free(tls); /* the listener holds it */
}

urd_err urd_nng_listen(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                       uint16_t *ret_port, void **ret_server)
{
    (void)impl;
    struct urd_nng_server *server = calloc(1, sizeof *server);
    if (server == NULL) return URD_E_NOMEM;
    urd_err err = urd_nng_url_check(endpoint->url, &server->tls);
    if (err == URD_OK) {
        struct listen_call call = { .endpoint = endpoint, .server = server };
        err = urd_blocking_ungated(cx, listen_run, &call);
        if (err == URD_OK) err = call.err;
    }
    if (err != URD_OK) {
        free(server);
        return err;
    }
    if (ret_port != NULL) *ret_port = server->port;
    *ret_server = server;
    return URD_OK;
}

static void close_run(void *arg)
{
    struct urd_nng_server *server = arg;
    nng_close(server->socket);
    free(server);
}

void urd_nng_server_close(void *arg, struct urd_cx *cx)
{
    struct urd_nng_server *server = arg;
    URD_MASK(m);

    if (server == NULL) return;
    assert(!server->serving);
    urd_mask(cx, m);
    (void)!urd_nng_close_later(cx, close_run, server);
    urd_unmask(cx, m);
}

/* ---- rotation ---- */

/* Where this machine reaches the listener: its own address, loopback for the wildcard. */
static socklen_t own_address(const struct urd_nng_server *server, struct sockaddr_storage *ret)
{
    nng_sockaddr bound;
    if (nng_listener_get_addr(server->listener, NNG_OPT_LOCADDR, &bound) != 0) return 0;
    *ret = (struct sockaddr_storage){ 0 };
    if (bound.s_family == NNG_AF_INET6) {
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                                   .sin6_port = htons(server->port),
                                   .sin6_scope_id = bound.s_in6.sa_scope };
        memcpy(&v6.sin6_addr, bound.s_in6.sa_addr, sizeof v6.sin6_addr);
        if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) v6.sin6_addr = in6addr_loopback;
        memcpy(ret, &v6, sizeof v6);
        return sizeof v6;
    }
    struct sockaddr_in v4 = { .sin_family = AF_INET,
                              .sin_port = htons(server->port),
                              .sin_addr.s_addr = bound.s_in.sa_addr };
    if (v4.sin_addr.s_addr == INADDR_ANY) v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(ret, &v4, sizeof v4);
    return sizeof v4;
}

/* The listener has prepared its next connection with the old configuration already; use that up.
 * Connections are taken in the order they came, so whoever dials after us gets the new one. */
static urd_err throw_away_one(const struct urd_nng_server *server)
{
    const struct timeval timeout = { .tv_sec = THROWAWAY_TIMEOUT_S };
    struct sockaddr_storage address;
    socklen_t len = own_address(server, &address);
    if (len == 0) return URD_E_SYSTEM;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return URD_E_SYSTEM;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    int rc = connect(fd, (const struct sockaddr *)&address, len);
    close(fd);
    return rc == 0 ? URD_OK : URD_E_UNREACHABLE;
}

struct rotate_call {
    struct urd_nng_server *server;
    const char *cert_pem, *key_pem;
    urd_err err;
};

static void rotate_run(void *arg)
{
    struct rotate_call *call = arg;
    nng_tls_config *tls;
    call->err = urd_nng_tls_server(call->cert_pem, call->key_pem, &tls);
    if (call->err != URD_OK) return;
    call->err = urd_nng_err(nng_listener_set_ptr(call->server->listener, NNG_OPT_TLS_CONFIG, tls));
    nng_tls_config_free(tls);
    if (call->err == URD_OK) call->err = throw_away_one(call->server);
}

urd_err urd_nng_rotate(void *arg, struct urd_cx *cx, const char *cert_pem, const char *key_pem)
{
    struct rotate_call call = { .server = arg, .cert_pem = cert_pem, .key_pem = key_pem };
    if (!call.server->tls) return URD_E_STATE;
    urd_err err = urd_blocking_ungated(cx, rotate_run, &call);
    return err != URD_OK ? err : call.err;
}
