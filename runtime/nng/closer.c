/* Sockets are closed here, one after another, on a thread that exists only while there are some.
 *
 * Why not where they are given up: nng 1.5.2 loses the completion of a receive when its connection
 * is closed just between two reads of it, and then waits for that completion for ever, on the one
 * thread that takes dead connections apart; nng_close() of any socket waits for that thread.  A
 * peer killed under load brings it about once in a hundred times.  So nothing else may wait for
 * nng_close(), and a socket whose connection was lost is given up rather than trusted to reconnect
 * (client.c). */
#include <pthread.h>
#include <stdlib.h>

#include "runtime/nng/nng_internal.h"
#include "runtime/sync.h"

#define PATIENCE_NS UINT64_C(2000000000) /* a close that takes longer never ends */

struct closing {
    struct closing *next;
    void (*close)(void *arg);
    void *arg;
    unsigned refs; /* the queue's and the waiter's; under the mutex */
    struct urd_event closed;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct closing *first, *last; /* under the mutex, as all below */
static bool running;
static uint32_t waiting;

static void unref(struct closing *c)
{
    pthread_mutex_lock(&mutex);
    bool last_one = --c->refs == 0;
    pthread_mutex_unlock(&mutex);
    if (last_one) free(c);
}

static struct closing *next_closing(void)
{
    pthread_mutex_lock(&mutex);
    struct closing *c = first;
    if (c == NULL)
        running = false;
    else if ((first = c->next) == NULL)
        last = NULL;
    pthread_mutex_unlock(&mutex);
    return c;
}

static void *run(void *arg)
{
    (void)arg;
    for (struct closing *c; (c = next_closing()) != NULL;) {
        c->close(c->arg);
        pthread_mutex_lock(&mutex);
        waiting--;
        pthread_mutex_unlock(&mutex);
        urd_event_set(&c->closed);
        unref(c);
    }
    return NULL;
}

/* Start the thread if it is not there; the mutex is held.  Without a thread the next one to close
 * tries again. */
static void ensure_thread(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (running || pthread_attr_init(&attr) != 0) return;
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    running = pthread_create(&thread, &attr, run, NULL) == 0;
    (void)pthread_attr_destroy(&attr);
}

bool urd_nng_close_later(struct urd_cx *cx, void (*close)(void *arg), void *arg)
{
    struct closing *c = calloc(1, sizeof *c);
    if (c == NULL) return false;
    c->close = close;
    c->arg = arg;
    c->refs = cx != NULL ? 2 : 1;
    c->closed = URD_EVENT_INIT;

    pthread_mutex_lock(&mutex);
    if (last != NULL)
        last->next = c;
    else
        first = c;
    last = c;
    waiting++;
    ensure_thread();
    pthread_mutex_unlock(&mutex);
    if (cx == NULL) return true;

    (void)!urd_event_wait(cx, &c->closed, urd_cx_now(cx) + PATIENCE_NS);
    unref(c);
    return true;
}

uint32_t urd_nng_closes_waiting(void)
{
    pthread_mutex_lock(&mutex);
    uint32_t count = waiting;
    pthread_mutex_unlock(&mutex);
    return count;
}
