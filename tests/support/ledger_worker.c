/* ledger_worker LEDGER EFFECTS_DIR NAME: a participant that keeps book of what it did.
 *
 * Answers bank.hold, bank.charge (do) and bank.release, bank.refund (undo).  Each handler appends
 * to LEDGER, one JSON line each: "begin" before it waits, "effect" when the effect is there,
 * "answer" when the answer was handed to the node.  Input {"fail":true} makes a do fail with
 * nothing done; {"ms":N} is about how long it takes. No handler is declared idempotent: a second
 * effect under one key would be the guards' fault, and shows. */
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/worker.h"
#include "runtime/process.h"

static int ledger_fd;

static int64_t wall_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* One write of one line: whole or not at all, in order with the other handlers' lines. */
static void record(const char *line, int len)
{
    if (write(ledger_fd, line, (size_t)len) != len) {
        perror("ledger_worker: ledger");
        abort();
    }
}

static void record_step(const char *event, const struct urd_client_worker_step *step)
{
    char line[1024];
    int len = snprintf(
        line, sizeof line,
        "{\"t\":%" PRId64 ",\"event\":\"%s\",\"saga\":\"%s\",\"step\":\"%s\",\"direction\":\"%s\","
        "\"key\":\"%s\",\"do_key\":\"%s\",\"epoch\":%" PRIu64 "}\n",
        wall_ns(), event, step->saga, step->step, step->direction == URD_WORKER_DO ? "do" : "undo",
        step->effect_key, step->do_effect_key != NULL ? step->do_effect_key : "", step->epoch);
    record(line, len);
}

static void on_answered(void *arg, const char *effect_key)
{
    (void)arg;
    char line[512];
    record(line,
           snprintf(line, sizeof line, "{\"t\":%" PRId64 ",\"event\":\"answer\",\"key\":\"%s\"}\n",
                    wall_ns(), effect_key));
}

/* What the input asks for; an undo carries its do's input inside. */
static void read_input(const struct urd_client_worker_step *step, bool *ret_fail, uint64_t *ret_ms)
{
    *ret_fail = false;
    *ret_ms = 10;
    json_t *input = json_loads(step->input, JSON_DECODE_ANY, NULL);
    json_t *own = input;
    if (step->direction == URD_WORKER_UNDO) own = json_object_get(input, "input");
    *ret_fail = step->direction == URD_WORKER_DO && json_is_true(json_object_get(own, "fail"));
    json_int_t ms = json_integer_value(json_object_get(own, "ms"));
    if (ms > 0) *ret_ms = (uint64_t)ms;
    json_decref(input);
}

static void handle(struct urd_cx *cx, void *arg, const struct urd_client_worker_step *step,
                   struct urd_client_worker_answer *answer)
{
    (void)arg;
    bool fail;
    uint64_t ms;
    read_input(step, &fail, &ms);
    record_step("begin", step);

    urd_err err = urd_sleep(cx, ms * 500000);
    if (err != URD_OK) {
        urd_client_worker_retry(answer, 0); /* nothing was done yet */
        return;
    }
    if (fail) {
        urd_client_worker_fail(answer, "declined");
        return;
    }
    record_step("effect", step);
    (void)!urd_sleep(cx, ms * 500000); /* done, not yet answered */
    urd_client_worker_done(answer, "{\"ok\":true}");
}

struct worker {
    const char *effects_dir, *name;
    struct urd_client_worker *worker;
    char why[URD_CLIENT_ERRMSG_MAX];
};

static urd_err stop_at_signal(struct urd_cx *cx, void *arg)
{
    struct worker *w = arg;
    int sig;
    urd_err err = urd_signal_wait(cx, URD_FOREVER, &sig);
    urd_client_worker_stop(w->worker);
    return err;
}

static urd_err serve_until_signal(struct urd_cx *cx, struct worker *w)
{
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(r), NULL, stop_at_signal, w);
    if (err == URD_OK) err = urd_client_worker_run(cx, w->worker, w->why);
    urd_region_close(cx, r, NULL);
    return err;
}

static urd_err body(struct urd_cx *cx, void *arg)
{
    static const char *const actions[] = { "bank.hold", "bank.release", "bank.charge",
                                           "bank.refund" };
    struct worker *w = arg;
    struct urd_client *client;
    urd_err err = urd_client_open(cx, NULL, &client, w->why);
    if (err != URD_OK) goto fail;

    struct urd_client_worker_options options = { .name = w->name,
                                                 .effects_dir = w->effects_dir,
                                                 .concurrency = 64,
                                                 .on_answered = on_answered };
    err = urd_client_worker_open(cx, client, &options, &w->worker, w->why);
    if (err != URD_OK) goto fail_client;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0] && err == URD_OK; i++)
        err = urd_client_worker_on(w->worker, actions[i], false, handle, NULL);
    if (err == URD_OK) err = serve_until_signal(cx, w);

    urd_client_worker_close(cx, w->worker);
fail_client:
    urd_client_close(cx, client);
fail:
    if (w->why[0] != '\0')
        (void)fprintf(stderr, "ledger_worker: %s: %s\n", urd_err_name(err), w->why);
    return err;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: ledger_worker LEDGER EFFECTS_DIR NAME\n");
        return 2;
    }
    ledger_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (ledger_fd < 0) {
        perror(argv[1]);
        return 1;
    }
    struct worker w = { .effects_dir = argv[2], .name = argv[3] };
    return urd_client_main_signals(body, &w);
}
