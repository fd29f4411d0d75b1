/* runtime/rpc.h -- request and reply between processes, as a gate of the cx.
 *
 * runtime/nng implements it over nng (tcp, tls+tcp); the lab implements it simulated.  Messages are
 * bytes; what they mean is node/protocol.h's business.  A frame longer than the limit is refused
 * before it is sent. */
#ifndef RUNTIME_RPC_H
#define RUNTIME_RPC_H

#include "runtime/region.h"

#define URD_RPC_FRAME_BYTES_MAX                                                                    \
    (24u << 20)                    /* above the largest legal message, so too large is an answer */
#define URD_RPC_INFLIGHT_MAX 4096u /* requests being handled at once by one server */

struct urd_rpc_server;
struct urd_rpc_client;

/* Bytes that grow; a reply is written into one. */
struct urd_buffer {
    uint8_t *bytes;
    size_t len, cap;
};
URD_MUST_USE urd_err urd_buffer_append(struct urd_buffer *buffer, const void *bytes, size_t len);
/* Room for @len more bytes, written by the caller at the returned place; NULL: out of memory. */
uint8_t *urd_buffer_extend(struct urd_buffer *buffer, size_t len);
/* Free what it holds, wiping it first. */
void urd_buffer_done(struct urd_buffer *buffer);

struct urd_rpc_endpoint {
    const char *url; /* "tls+tcp://127.0.0.1:7000" or "tcp://127.0.0.1:7000" (loopback only) */
    const char
        *server_name;     /* dialling TLS: the name the peer's certificate must carry; required */
    const char *ca_pem;   /* TLS: the CA to trust, PEM text */
    const char *cert_pem; /* TLS, listening: own certificate and key, PEM text */
    const char *key_pem;
};

/* Listen.  @ret_port (may be NULL) is the port bound.
 * Errors: URD_E_BUSY the address is in use; URD_E_CONFIG bad URL or certificate; URD_E_DENIED;
 * URD_E_NOMEM. */
URD_MUST_USE urd_err urd_rpc_listen(struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                                    uint16_t *ret_port, struct urd_rpc_server **ret);

/* Answer one request: @request is borrowed for the call; append the reply to @reply, which is sent
 * when the handler returns: so every request is answered exactly once.  Runs as a task of its own;
 * may block. */
typedef void (*urd_rpc_handler)(struct urd_cx *cx, void *arg, const uint8_t *request,
                                size_t request_len, struct urd_buffer *reply);

/* Serve until cancelled or closed: each request is handled in a task of a region of this call; at
 * most
 * @inflight_max at once, further ones wait unread.  Blocks.  On a cancel: stops taking requests,
 * gives the running handlers the drain budget, returns URD_E_CANCELLED. */
URD_MUST_USE urd_err urd_rpc_serve(struct urd_cx *cx, struct urd_rpc_server *server,
                                   uint32_t inflight_max, urd_rpc_handler handler, void *arg);
/* Replace certificate and key for connections made from now on. */
URD_MUST_USE urd_err urd_rpc_server_rotate(struct urd_cx *cx, struct urd_rpc_server *server,
                                           const char *cert_pem, const char *key_pem);
/* Close the listener and free @server; nobody may be serving.  NULL is allowed.  Blocks (masked).
 */
void urd_rpc_server_close(struct urd_cx *cx, struct urd_rpc_server *server);

/* Make a client of one peer; connecting goes on in the background and is retried for as long as it
 * lives. Errors: URD_E_CONFIG, URD_E_NOMEM, URD_E_DENIED. */
URD_MUST_USE urd_err urd_rpc_dial(struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                                  struct urd_rpc_client **ret);
/* Send @request and await the reply until @deadline_ns; any number of calls at once.  Blocks.
 * Nothing is resent by the transport: a caller that retries must carry an id that makes the request
 * idempotent.
 * @ret (initialised by the callee; urd_buffer_done() it) is written only on URD_OK.
 * Errors: URD_E_UNREACHABLE never connected, or the connection was lost; URD_E_TIMEOUT;
 * URD_E_CANCELLED; URD_E_TOO_BIG; URD_E_NOMEM. */
URD_MUST_USE urd_err urd_rpc_call(struct urd_cx *cx, struct urd_rpc_client *client,
                                  const void *request, size_t request_len, uint64_t deadline_ns,
                                  struct urd_buffer *ret);
/* Whether a connection stands now. */
bool urd_rpc_client_connected(const struct urd_rpc_client *client);
/* Close @client; calls under way answer URD_E_CLOSED.  NULL is allowed.  Blocks (masked). */
void urd_rpc_client_close(struct urd_cx *cx, struct urd_rpc_client *client);

#endif
