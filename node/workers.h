/* node/workers.h -- the worker service: requests of those who answer steps (client/worker.h).
 *
 * Steps come from the broker (node/dispatch.h); a worker's capability must allow `worker.serve` on
 * `do/ACTION` for every action that it names. */
#ifndef NODE_WORKERS_H
#define NODE_WORKERS_H

#include "node/handler.h"

extern const struct node_service node_workers_service;

#endif
