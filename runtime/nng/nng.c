/* The table of operations, and what client and server share: errors, URLs, TLS, limits. */
#include "runtime/nng/nng.h"

#include <string.h>

#include "runtime/blocking_internal.h"
#include "runtime/net.h"
#include "runtime/nng/nng_internal.h"

const struct urd_rpc_ops *urd_nng_rpc_ops(void)
{
    static const struct urd_rpc_ops ops = {
        .listen = urd_nng_listen,
        .serve = urd_nng_serve,
        .rotate = urd_nng_rotate,
        .server_close = urd_nng_server_close,
        .dial = urd_nng_dial,
        .call = urd_nng_call,
        .connected = urd_nng_connected,
        .client_close = urd_nng_client_close,
    };
    return &ops;
}

urd_err urd_nng_err(int rv)
{
    switch (rv) {
    case 0:
        return URD_OK;
    case NNG_ENOMEM:
        return URD_E_NOMEM;
    case NNG_ETIMEDOUT:
        return URD_E_TIMEOUT;
    case NNG_ECANCELED:
        return URD_E_CANCELLED;
    case NNG_ECLOSED:
        return URD_E_CLOSED;
    case NNG_EADDRINUSE:
        return URD_E_BUSY;
    case NNG_EMSGSIZE:
        return URD_E_TOO_BIG;
    case NNG_ENOFILES:
        return URD_E_FULL;
    case NNG_ECONNREFUSED:
    case NNG_ECONNABORTED:
    case NNG_ECONNRESET:
    case NNG_ECONNSHUT:
    case NNG_EUNREACHABLE:
    case NNG_EPEERAUTH:
        return URD_E_UNREACHABLE;
    case NNG_EINVAL:
    case NNG_EADDRINVAL:
    case NNG_ENOTSUP:
    case NNG_ECRYPTO:
    case NNG_EPERM:
    case NNG_ENOENT:
        return URD_E_CONFIG;
    default:
        return URD_E_SYSTEM;
    }
}

urd_err urd_nng_url_check(const char *url, bool *ret_tls)
{
    static const char plain[] = "tcp://", tls[] = "tls+tcp://";
    if (url == NULL) return URD_E_CONFIG;
    if (strncmp(url, tls, sizeof tls - 1) == 0) {
        *ret_tls = true;
        return URD_OK;
    }
    struct urd_address address;
    if (strncmp(url, plain, sizeof plain - 1) != 0) return URD_E_CONFIG;
    if (urd_address_parse(url + sizeof plain - 1, &address) != URD_OK) return URD_E_CONFIG;
    if (!urd_address_is_loopback(&address)) return URD_E_CONFIG;
    *ret_tls = false;
    return URD_OK;
}

/* What a certificate, a key or a name is refused for is configuration, except lack of memory. */
static urd_err tls_error(int rv)
{
    return rv == 0 ? URD_OK : rv == NNG_ENOMEM ? URD_E_NOMEM : URD_E_CONFIG;
}

static bool is_empty(const char *text)
{
    return text == NULL || text[0] == '\0';
}

/* nng checks a server's name only when it is told one: without it any certificate of the CA would
 * do, so there is no way past this function without. */
urd_err urd_nng_tls_client(const struct urd_rpc_endpoint *endpoint, nng_tls_config **ret)
{
    nng_tls_config *config;
    if (is_empty(endpoint->ca_pem) || is_empty(endpoint->server_name)) return URD_E_CONFIG;
    int rv = nng_tls_config_alloc(&config, NNG_TLS_MODE_CLIENT);
    if (rv != 0) return tls_error(rv);
    rv = nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_3);
    if (rv == 0) rv = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_REQUIRED);
    if (rv == 0) rv = nng_tls_config_server_name(config, endpoint->server_name);
    if (rv == 0) rv = nng_tls_config_ca_chain(config, endpoint->ca_pem, NULL);
    if (rv != 0) {
        nng_tls_config_free(config);
        return tls_error(rv);
    }
    *ret = config;
    return URD_OK;
}

urd_err urd_nng_tls_server(const char *cert_pem, const char *key_pem, nng_tls_config **ret)
{
    nng_tls_config *config;
    if (is_empty(cert_pem) || is_empty(key_pem)) return URD_E_CONFIG;
    int rv = nng_tls_config_alloc(&config, NNG_TLS_MODE_SERVER);
    if (rv != 0) return tls_error(rv);
    rv = nng_tls_config_version(config, NNG_TLS_1_2, NNG_TLS_1_3);
    /* Not OPTIONAL: that would let in a client of a foreign CA and call it unverified. */
    if (rv == 0) rv = nng_tls_config_auth_mode(config, NNG_TLS_AUTH_MODE_NONE);
    if (rv == 0) rv = nng_tls_config_own_cert(config, cert_pem, key_pem, NULL);
    if (rv != 0) {
        nng_tls_config_free(config);
        return tls_error(rv);
    }
    *ret = config;
    return URD_OK;
}

urd_err urd_nng_socket_limits(nng_socket socket)
{
    /* nng's own default is no limit.  A longer frame makes it drop the connection, so ours lies
     * above the longest legal message. */
    return urd_nng_err(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ,
                                           URD_RPC_FRAME_BYTES_MAX + NNG_HEADER_BYTES_MAX));
}

urd_err urd_nng_message(const void *bytes, size_t len, nng_msg **ret)
{
    nng_msg *message;
    int rv = nng_msg_alloc(&message, len);
    if (rv != 0) return urd_nng_err(rv);
    if (len > 0) memcpy(nng_msg_body(message), bytes, len);
    *ret = message;
    return URD_OK;
}

void urd_nng_run_surely(struct urd_cx *cx, void (*fn)(void *arg), void *arg)
{
    if (urd_blocking_ungated(cx, fn, arg) != URD_OK) fn(arg);
}
