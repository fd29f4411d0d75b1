/* runtime/nng/nng.h -- the RPC gate over nng: put it in a world, use it through runtime/rpc.h.
 *
 *     struct urd_world world = urd_world_real();
 *     world.rpc = urd_nng_rpc_ops();          // world.rpc_impl stays NULL
 *
 * URLs: "tls+tcp://HOST:PORT"; "tcp://ADDRESS:PORT" for numeric loopback addresses only.  Port 0
 * listens on any port.  Dialling TLS needs ca_pem and server_name, listening needs cert_pem and
 * key_pem; else URD_E_CONFIG.  Clients show no certificate. */
#ifndef RUNTIME_NNG_NNG_H
#define RUNTIME_NNG_NNG_H

#include "runtime/world.h"

/* The RPC operations over nng; a static table. */
const struct urd_rpc_ops *urd_nng_rpc_ops(void);

#endif
