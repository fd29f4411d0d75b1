/* node/sagas_internal.h -- what sagas.c (life) and saga_requests.c (requests) share. */
#ifndef NODE_SAGAS_INTERNAL_H
#define NODE_SAGAS_INTERNAL_H

#include "node/sagas.h"
#include "runtime/sync.h"

struct node_http_calls;

struct node_sagas {
    struct node *node;
    struct saga_engine *engine;
    struct node_dispatch *dispatch;
    struct node_http_calls *http;
    struct urd_event ended; /* the engine's task has */
    uint64_t now_ns;        /* half a second old at most */
};

extern const struct node_handler node_sagas_handlers[];

#endif
