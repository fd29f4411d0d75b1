/* runtime/nng/server_internal.h -- a listening REP socket. */
#ifndef RUNTIME_NNG_SERVER_INTERNAL_H
#define RUNTIME_NNG_SERVER_INTERNAL_H

#include <nng/nng.h>
#include <stdatomic.h>
#include <stdint.h>

struct urd_nng_server {
    nng_socket socket;
    nng_listener listener;
    uint16_t port;
    bool tls;
    atomic_bool serving;
};

#endif
