/* A program's main: the runtime with the real world and nng, one body, and what a signal does. */
#include <stdio.h>
#include <unistd.h>

#include "client/client.h"
#include "runtime/nng/nng.h"
#include "runtime/process.h"

#define EXIT_SIGNALLED 128 /* a shell's way to say that a signal ended it */

struct running {
    urd_task_fn body;
    void *arg;
    urd_err err;
    struct urd_scope *scope; /* of the body */
    bool watched;            /* a signal ends the body */
};

static urd_err run_body(struct urd_cx *cx, void *arg)
{
    struct running *r = arg;
    return r->err = r->body(cx, r->arg);
}

/* The first signal asks the body to end, the second does not ask. */
static urd_err watch_signals(struct urd_cx *cx, void *arg)
{
    struct running *r = arg;
    int sig;
    urd_err err = urd_signal_wait(cx, URD_FOREVER, &sig);
    if (err != URD_OK) return err;
    urd_scope_cancel(cx, r->scope, URD_CANCEL_USER);
    err = urd_signal_wait(cx, URD_FOREVER, &sig);
    if (err == URD_OK) _exit(EXIT_SIGNALLED + sig);
    return err;
}

/* @work is there for as long as the watcher may want to cancel it. */
static urd_err run_beside_watcher(struct urd_cx *cx, struct running *r)
{
    const struct urd_region_options options = { .name = "signals", .policy = URD_REGION_COLLECT };
    const struct urd_spawn_options body = { .name = "main", .stack = URD_STACK_LARGE };
    urd_err err = URD_E_NOMEM;
    URD_REGION(signals);
    URD_JOIN(j);
    if (!urd_region_open(cx, &options, signals)) return err;
    if (urd_spawn_join(cx, r->scope, &body, run_body, r, j, &err)) {
        err =
            r->watched ? urd_spawn(cx, urd_region_scope(signals), NULL, watch_signals, r) : URD_OK;
        if (err == URD_OK)
            urd_join_wait(cx, j, NULL);
        else
            urd_join_cancel(cx, j, NULL);
        if (err == URD_OK) err = r->err;
    }
    urd_region_close(cx, signals, NULL);
    return err;
}

static urd_err run_all(struct urd_cx *cx, void *arg)
{
    struct running *r = arg;
    const struct urd_region_options options = { .name = "main", .policy = URD_REGION_COLLECT };
    URD_REGION(work);
    if (!urd_region_open(cx, &options, work)) return URD_E_NOMEM;
    r->scope = urd_region_scope(work);
    r->err = run_beside_watcher(cx, r);
    urd_region_close(cx, work, NULL);
    return r->err;
}

static int run_main(urd_task_fn body, void *arg, bool watched)
{
    struct running r = { .body = body, .arg = arg, .err = URD_E_SYSTEM, .watched = watched };
    struct urd_world world = urd_world_real();
    world.rpc = urd_nng_rpc_ops();
    struct urd_runtime_options options = { .world = &world };
    urd_err err = urd_runtime_run(&options, run_all, &r, NULL);
    if (err != URD_OK) (void)fprintf(stderr, "urd: cannot start: %s\n", urd_err_text(err));
    return err == URD_OK && r.err == URD_OK ? 0 : 1;
}

int urd_client_main(urd_task_fn body, void *arg)
{
    return run_main(body, arg, true);
}

int urd_client_main_signals(urd_task_fn body, void *arg)
{
    return run_main(body, arg, false);
}
