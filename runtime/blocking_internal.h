/* runtime/blocking_internal.h -- the pool behind runtime/blocking.h. */
#ifndef RUNTIME_BLOCKING_INTERNAL_H
#define RUNTIME_BLOCKING_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/cx.h"

struct urd_blocking_job;

struct urd_blocking_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work, gone;
    struct urd_blocking_job *head, *tail; /* not begun */
    uint32_t waiting, threads, threads_max, idle;
    bool stopping;
};

void urd_blocking_init(struct urd_blocking_pool *pool, uint32_t threads_max);
/* Wait for its threads to leave; no job is left. */
void urd_blocking_done(struct urd_blocking_pool *pool);
/* Jobs under way or waiting: a hint. */
uint32_t urd_blocking_active(struct urd_blocking_pool *pool);

/* urd_blocking() without its gate, for calls that have passed their own (names, processes). */
URD_MUST_USE urd_err urd_blocking_ungated(struct urd_cx *cx, void (*fn)(void *arg), void *arg);

#endif
