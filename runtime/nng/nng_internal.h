/* runtime/nng/nng_internal.h -- what the files of this room share. */
#ifndef RUNTIME_NNG_NNG_INTERNAL_H
#define RUNTIME_NNG_NNG_INTERNAL_H

#include <nng/nng.h>
#include <nng/supplemental/tls/tls.h>

#include "runtime/rpc.h"

/* What nng itself puts before a message: the request id and room for a few hops. */
#define NNG_HEADER_BYTES_MAX 64u

/* Our code for an nng error. */
urd_err urd_nng_err(int rv);

/* Whether @endpoint's URL may be used at all: the scheme, and loopback for plain TCP. */
URD_MUST_USE urd_err urd_nng_url_check(const char *url, bool *ret_tls);

/* A client's TLS configuration; never without a server name.  Parses certificates: blocking pool.
 * Errors: URD_E_CONFIG, URD_E_NOMEM.  Give back with nng_tls_config_free(). */
URD_MUST_USE urd_err urd_nng_tls_client(const struct urd_rpc_endpoint *endpoint,
                                        nng_tls_config **ret);
/* A server's; asks clients for no certificate. */
URD_MUST_USE urd_err urd_nng_tls_server(const char *cert_pem, const char *key_pem,
                                        nng_tls_config **ret);

/* The options every socket has before anything else happens to it. */
URD_MUST_USE urd_err urd_nng_socket_limits(nng_socket socket);

/* Copy @len @bytes into a new message. */
URD_MUST_USE urd_err urd_nng_message(const void *bytes, size_t len, nng_msg **ret);

/* Run @fn(@arg) on the blocking pool; in a masked caller it is run without fail, on this thread
 * when the pool takes no more. */
void urd_nng_run_surely(struct urd_cx *cx, void (*fn)(void *arg), void *arg);

/* closer.c */
/* Have @close(@arg) called on the closer's thread.  With @cx (a masked task) its end is awaited,
 * for 2 s at most; NULL: not.  False: out of memory, and it is not called (a leak, where closing
 * might have hung).  */
URD_MUST_USE bool urd_nng_close_later(struct urd_cx *cx, void (*close)(void *arg), void *arg);
/* How many closes have not ended. */
uint32_t urd_nng_closes_waiting(void);

/* server.c */
urd_err urd_nng_listen(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                       uint16_t *ret_port, void **ret_server);
urd_err urd_nng_serve(void *server, struct urd_cx *cx, uint32_t inflight_max,
                      urd_rpc_handler handler, void *arg);
urd_err urd_nng_rotate(void *server, struct urd_cx *cx, const char *cert_pem, const char *key_pem);
void urd_nng_server_close(void *server, struct urd_cx *cx);

/* client.c */
urd_err urd_nng_dial(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                     void **ret_client);
urd_err urd_nng_call(void *client, struct urd_cx *cx, const void *request, size_t request_len,
                     uint64_t deadline_ns, struct urd_buffer *ret);
bool urd_nng_connected(const void *client);
void urd_nng_client_close(void *client, struct urd_cx *cx);

#endif
