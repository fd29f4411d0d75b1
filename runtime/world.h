/* runtime/world.h -- what stands behind a cx: tables of functions, real or simulated.
 *
 * A world is made once, before urd_runtime_run(), and outlives it.  NULL tables mean "not here":
 * their effects answer URD_E_UNSUPPORTED.  The real clock, entropy, network, disk and processes are
 * urd_world_real(); RPC is added by runtime/nng (urd_nng_rpc_ops()). */
#ifndef RUNTIME_WORLD_H
#define RUNTIME_WORLD_H

#include "runtime/rpc.h"

struct urd_clock_ops {
    uint64_t (*monotonic_ns)(void *impl);
    int64_t (*wall_ns)(void *impl);
};
struct urd_entropy_ops {
    urd_err (*fill)(void *impl, void *ret, size_t len);
};
/* The RPC gate; each slot is the urd_rpc_… function of the same name, called from tasks only. */
struct urd_rpc_ops {
    urd_err (*listen)(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                      uint16_t *ret_port, void **ret_server);
    urd_err (*serve)(void *server, struct urd_cx *cx, uint32_t inflight_max,
                     urd_rpc_handler handler, void *arg);
    urd_err (*rotate)(void *server, struct urd_cx *cx, const char *cert_pem, const char *key_pem);
    void (*server_close)(void *server, struct urd_cx *cx);
    urd_err (*dial)(void *impl, struct urd_cx *cx, const struct urd_rpc_endpoint *endpoint,
                    void **ret_client);
    urd_err (*call)(void *client, struct urd_cx *cx, const void *request, size_t request_len,
                    uint64_t deadline_ns, struct urd_buffer *ret);
    bool (*connected)(const void *client);
    void (*client_close)(void *client, struct urd_cx *cx);
};

struct urd_world {
    const struct urd_clock_ops *clock;
    void *clock_impl;
    const struct urd_entropy_ops *entropy;
    void *entropy_impl;
    const struct urd_rpc_ops *rpc;
    void *rpc_impl;
};

/* The real clock and entropy, no RPC; copy it and add to it. */
struct urd_world urd_world_real(void);

#endif
