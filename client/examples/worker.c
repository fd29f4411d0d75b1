/* Answer the steps of the README's saga until ctrl-C.
 *
 *     export URD_HOME=/var/lib/urd
 *     worker EFFECTS_DIR */
#include <stdio.h>
#include <string.h>

#include "client/worker.h"
#include "runtime/process.h"

/* A hold on a hotel or a seat.  Real code books under step->effect_key, so that a retry finds its
 * booking. */
static void hold(struct urd_cx *cx, void *arg, const struct urd_client_worker_step *step,
                 struct urd_client_worker_answer *answer)
{
    (void)cx;
    (void)arg;
    (void)printf("%s %s for saga %s\n", step->action, step->effect_key, step->saga);
    urd_client_worker_done(answer, "{\"id\":7}");
}

/* The card takes what names the hold it pays for, and says no to anything else. */
static void capture(struct urd_cx *cx, void *arg, const struct urd_client_worker_step *step,
                    struct urd_client_worker_answer *answer)
{
    (void)cx;
    (void)arg;
    if (strstr(step->input, "\"hold\":7") == NULL) {
        urd_client_worker_fail(answer, "no hold to pay for");
        return;
    }
    urd_client_worker_done(answer, "{\"charged\":true}");
}

/* Undoing something that never was is done as well. */
static void release(struct urd_cx *cx, void *arg, const struct urd_client_worker_step *step,
                    struct urd_client_worker_answer *answer)
{
    (void)cx;
    (void)arg;
    (void)printf("%s undoes %s\n", step->action, step->do_effect_key);
    urd_client_worker_done(answer, NULL);
}

static const struct {
    const char *action;
    urd_client_worker_fn fn;
} actions[] = {
    { "hotel.hold", hold },        { "hotel.release", release }, { "flight.hold", hold },
    { "flight.release", release }, { "mail.queue", hold },       { "mail.retract", release },
    { "card.capture", capture },   { "card.refund", release },
};

struct serve {
    struct urd_client_worker *worker;
    char why[URD_CLIENT_ERRMSG_MAX];
};

/* The first signal: take no more, finish what runs. */
static urd_err until_signal(struct urd_cx *cx, void *arg)
{
    struct serve *s = arg;
    int sig;
    urd_err err = urd_signal_wait(cx, URD_FOREVER, &sig);
    urd_client_worker_stop(s->worker);
    return err;
}

static urd_err serve_until_signal(struct urd_cx *cx, struct serve *s)
{
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(r), NULL, until_signal, s);
    if (err == URD_OK) err = urd_client_worker_run(cx, s->worker, s->why);
    urd_region_close(cx, r, NULL);
    return err;
}

static urd_err body(struct urd_cx *cx, void *arg)
{
    struct serve s = { .why = "" };
    struct urd_client *client;
    urd_err err = urd_client_open(cx, NULL, &client, s.why);
    if (err != URD_OK) goto fail;

    struct urd_client_worker_options options = { .effects_dir = arg };
    err = urd_client_worker_open(cx, client, &options, &s.worker, s.why);
    if (err != URD_OK) goto fail_client;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0] && err == URD_OK; i++)
        err = urd_client_worker_on(s.worker, actions[i].action, true, actions[i].fn, NULL);
    if (err != URD_OK) goto fail_worker;
    err = serve_until_signal(cx, &s);

fail_worker:
    urd_client_worker_close(cx, s.worker);
fail_client:
    urd_client_close(cx, client);
fail:
    if (s.why[0] != '\0') (void)fprintf(stderr, "worker: %s: %s\n", urd_err_name(err), s.why);
    return err;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: worker EFFECTS_DIR\n");
        return 2;
    }
    return urd_client_main_signals(body, argv[1]);
}
