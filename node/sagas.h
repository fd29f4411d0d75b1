/* node/sagas.h -- the saga service: the engine, its participants, and the requests about sagas.
 *
 * A submit with a key goes to the key's home, chosen by rendezvous hashing over the configured
 * members, so that one key names one saga in the whole cluster; a request about a saga that is not
 * here is passed on to the member that has it.  Everything runs in the node's pinned region. */
#ifndef NODE_SAGAS_H
#define NODE_SAGAS_H

#include "node/dispatch.h"
#include "node/handler.h"
#include "saga/engine.h"

#define NODE_SAGAS_SERVICE "sagas"

extern const struct node_service node_sagas_service;

/* Parts that the worker service shares (node_service_state(node, NODE_SAGAS_SERVICE)). */
struct node_dispatch *node_sagas_dispatch(void *sagas);
struct saga_engine *node_sagas_engine(void *sagas);

/* The home of @key for sagas named @name: the member with the greatest hash of (member, name, key),
 * expelled ones left out.  @ret has NODE_NAME_BYTES_MAX + 1 bytes.  Source: Thaler & Ravishankar,
 * "Using name-based mappings to increase hit rates" (1998), highest random weight. */
void node_sagas_home(struct urd_cx *cx, const struct node *node, const char *name, const char *key,
                     char *ret);

/* A `SagaView` of saga @id as it durably stands, in @call's arena.  Errors: saga_engine_show()'s.
 */
URD_MUST_USE urd_err node_sagas_view(struct urd_cx *cx, struct node_call *call,
                                     struct saga_engine *engine, const uint8_t id[SAGA_ID_BYTES],
                                     Urd__V1__SagaView **ret);

/* An answer of the wire as the engine takes it; its text is malloc'd.  NULL is 'unknown'.  Errors:
 * URD_E_NOMEM. */
URD_MUST_USE urd_err node_answer_of(const Urd__V1__Answer *from, struct saga_answer *ret);

#endif
