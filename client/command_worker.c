/* `urd worker --on ACTION=COMMAND`: a worker whose handlers are commands.  What their exit means
 * stands in `urd help worker`. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/commands_internal.h"
#include "client/connect.h"
#include "client/json.h"
#include "client/worker.h"
#include "runtime/process.h"

enum {
    ACTIONS_MAX = 64,
    OUTPUT_BYTES_MAX = 1 << 20,
    REASON_BYTES_MAX = 1024,
    EXIT_RETRY = 75,
    EXIT_SIGNALLED = 128
};

struct handler {
    char action[256];
    const char *command;
};

struct commands {
    struct handler handlers[ACTIONS_MAX];
    unsigned count;
};

/* What the command wrote on standard output as a result: JSON as it is, other text as a JSON
 * string, nothing as null. */
static char *result_of(const struct urd_process_result *result)
{
    size_t len = result->out_len;
    while (len > 0 && (result->out[len - 1] == '\n' || result->out[len - 1] == '\r'))
        len--;
    if (len == 0) return strdup("null");
    json_t *json = client_json_read(result->out, len);
    if (json == NULL) json = json_stringn(result->out, len);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    return text;
}

/* The last line of what it wrote on standard error, cut and printable, or a word of our own. */
static void reason_of(const struct urd_process_result *result, char ret[REASON_BYTES_MAX])
{
    size_t len = result->err_len;
    while (len > 0 && result->err[len - 1] == '\n')
        len--;
    if (len == 0) {
        (void)snprintf(ret, REASON_BYTES_MAX, "exit %d", result->exit_code);
        return;
    }
    if (len >= REASON_BYTES_MAX) len = REASON_BYTES_MAX - 1;
    memcpy(ret, result->err, len);
    ret[len] = '\0';
}

static void settle(const struct urd_process_result *result, struct urd_client_worker_answer *answer)
{
    char reason[REASON_BYTES_MAX];
    if (result->signal != 0 || result->exit_code >= EXIT_SIGNALLED) {
        (void)snprintf(reason, sizeof reason,
                       result->signal != 0 ? "killed by signal %d" : "exit %d",
                       result->signal != 0 ? result->signal : result->exit_code);
        urd_client_worker_unknown(answer, reason);
    } else if (result->exit_code == 0) {
        char *json = result_of(result);
        if (json != NULL)
            urd_client_worker_done(answer, json);
        else
            urd_client_worker_unknown(answer, "its standard output is not UTF-8 text");
        free(json);
    } else if (result->exit_code == EXIT_RETRY) {
        urd_client_worker_retry(answer, 0);
    } else {
        reason_of(result, reason);
        urd_client_worker_fail(answer, reason);
    }
}

static void run_command(struct urd_cx *cx, void *arg, const struct urd_client_worker_step *step,
                        struct urd_client_worker_answer *answer)
{
    const struct handler *handler = arg;
    const char *argv[] = { "/bin/sh", "-c", handler->command, NULL };
    char env[8][512];
    const char *envp[9] = { env[0], env[1], env[2], env[3], env[4], env[5], env[6], env[7], NULL };
    (void)snprintf(env[0], sizeof env[0], "URD_SAGA=%s", step->saga);
    (void)snprintf(env[1], sizeof env[1], "URD_STEP=%s", step->step);
    (void)snprintf(env[2], sizeof env[2], "URD_ACTION=%s", step->action);
    (void)snprintf(env[3], sizeof env[3], "URD_ATTEMPT=%" PRIu32, step->attempt);
    (void)snprintf(env[4], sizeof env[4], "URD_EFFECT_KEY=%s", step->effect_key);
    (void)snprintf(env[5], sizeof env[5], "URD_DIRECTION=%s",
                   step->direction == URD_WORKER_DO ? "do" : "undo");
    (void)snprintf(env[6], sizeof env[6], "URD_DO_EFFECT_KEY=%s",
                   step->do_effect_key != NULL ? step->do_effect_key : "");
    (void)snprintf(env[7], sizeof env[7], "URD_EPOCH=%" PRIu64, step->epoch);

    struct urd_process_result result;
    urd_err err = urd_process_run(cx, argv, envp, step->input, strlen(step->input),
                                  OUTPUT_BYTES_MAX, URD_FOREVER, &result);
    if (err == URD_OK) {
        settle(&result, answer);
        urd_process_result_done(&result);
    } else if (err == URD_E_SYSTEM || err == URD_E_NOMEM) {
        urd_client_worker_retry(answer, 0); /* it was never started */
    } else {
        urd_client_worker_unknown(answer, err == URD_E_TIMEOUT
                                              ? "it ran longer than its step's timeout"
                                              : "the worker stopped before the command ended");
    }
}

/* "ACTION=COMMAND" of every --on.  False after a sentence on standard error. */
static bool read_handlers(const struct client_invocation *inv, struct commands *ret)
{
    const char *text;
    for (unsigned i = 0; (text = client_text_nth(inv, "on", i)) != NULL; i++) {
        struct handler *h = &ret->handlers[ret->count];
        const char *equals = strchr(text, '=');
        if (ret->count == ACTIONS_MAX || equals == NULL || equals == text ||
            (size_t)(equals - text) >= sizeof h->action) {
            (void)fprintf(stderr, "urd: --on wants ACTION=COMMAND, at most %d of them: '%s'\n",
                          ACTIONS_MAX, text);
            return false;
        }
        memcpy(h->action, text, (size_t)(equals - text));
        h->action[equals - text] = '\0';
        h->command = equals + 1;
        ret->count++;
    }
    if (ret->count == 0)
        (void)fprintf(stderr, "urd: worker wants at least one --on ACTION=COMMAND\n");
    return ret->count > 0;
}

struct serving {
    struct urd_client_worker *worker;
    char why[URD_CLIENT_ERRMSG_MAX];
};

static urd_err stop_at_signal(struct urd_cx *cx, void *arg)
{
    struct serving *s = arg;
    int sig;
    urd_err err = urd_signal_wait(cx, URD_FOREVER, &sig);
    urd_client_worker_stop(s->worker);
    return err;
}

/* Serve until a signal, then drain. */
static urd_err serve_until_signal(struct urd_cx *cx, struct serving *s)
{
    struct urd_region_options options = { .name = "signals", .policy = URD_REGION_COLLECT };
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(r), NULL, stop_at_signal, s);
    if (err == URD_OK) err = urd_client_worker_run(cx, s->worker, s->why);
    urd_region_close(cx, r, NULL);
    return err;
}

static int run_worker(struct urd_cx *cx, const struct client_invocation *inv,
                      struct urd_client *client)
{
    struct commands commands = { .count = 0 };
    struct serving s = { .why = "" };
    if (!read_handlers(inv, &commands)) return CLIENT_EXIT_USAGE;
    struct urd_client_worker_options options = {
        .name = client_text(inv, "name", NULL),
        .effects_dir = client_text(inv, "effects", "urd-effects"),
        .concurrency = (uint32_t)client_number(inv, "concurrency", 0)
    };
    urd_err err = urd_client_worker_open(cx, client, &options, &s.worker, s.why);
    if (err != URD_OK) return client_fail(inv, err, s.why);
    for (unsigned i = 0; i < commands.count && err == URD_OK; i++)
        err = urd_client_worker_on(s.worker, commands.handlers[i].action,
                                   client_given(inv, "idempotent"), run_command,
                                   &commands.handlers[i]);
    if (err == URD_OK) err = serve_until_signal(cx, &s);
    urd_client_worker_close(cx, s.worker);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, s.why);
}

int client_run_worker(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_worker);
}
