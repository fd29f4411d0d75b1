/* `urd saga …`: liburd's calls with a person, or a script, at the other end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/time_text.h"
#include "client/client.h"
#include "client/commands_internal.h"
#include "client/connect.h"
#include "client/json.h"
#include "client/local.h"
#include "node/command.h"

#define DOCUMENT_BYTES_MAX (4u << 20)

/* Read the document that the command names.  Answers an exit status, 0 to go on. */
static int load_document(struct urd_cx *cx, const struct client_invocation *inv, char **ret)
{
    size_t len;
    char why[256];
    urd_err err = client_local_load(cx, inv->args[0], DOCUMENT_BYTES_MAX, ret, &len);
    if (err == URD_OK && memchr(*ret, '\0', len) != NULL) {
        free(*ret);
        return client_fail(inv, URD_E_INVALID,
                           "the document has a NUL byte in it: it is not JSON text");
    }
    if (err == URD_OK) return 0;
    (void)snprintf(why, sizeof why, "%.200s: %s", inv->args[0], urd_err_text(err));
    return client_fail(inv, err, why);
}

/* The exit status of a saga that was waited for. */
static int exit_of_state(enum urd_saga_state state)
{
    switch (state) {
    case URD_SAGA_COMMITTED:
        return CLIENT_EXIT_DONE;
    case URD_SAGA_COMPENSATED:
        return CLIENT_EXIT_COMPENSATED;
    case URD_SAGA_STUCK:
        return CLIENT_EXIT_STUCK;
    default:
        return CLIENT_EXIT_FAILED;
    }
}

/* What a step came to: its error, else its result. */
static void print_step(const json_t *step)
{
    const json_t *result = json_object_get(step, "result");
    char *text = json_is_null(result) ? NULL : json_dumps(result, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *error = client_json_text(json_object_get(step, "error"), "message");
    (void)printf("  %-16s %-10s %-13s %s\n", client_json_text(step, "name"),
                 client_json_text(step, "op"), client_json_text(step, "state"),
                 error[0] != '\0' ? error
                 : text != NULL   ? text
                                  : "");
    free(text);
}

/* A saga for people: its state, then a step a line. */
static void print_saga(const char *text)
{
    size_t i;
    json_t *step, *saga = client_json_read(text, strlen(text));
    const char *why = client_json_text(json_object_get(saga, "error"), "message");
    (void)printf("%s  %s\n", client_json_text(saga, "id"), client_json_text(saga, "state"));
    if (why[0] != '\0') (void)printf("  because: %s\n", why);
    json_array_foreach(json_object_get(saga, "steps"), i, step) print_step(step);
    json_decref(saga);
}

static void show_saga(const struct client_invocation *inv, const char *json)
{
    if (inv->json)
        (void)printf("%s\n", json);
    else
        print_saga(json);
    (void)fflush(stdout);
}

/* How long a command that waits does so. */
static uint64_t deadline_of(struct urd_cx *cx, const struct client_invocation *inv)
{
    uint64_t patience_ns = client_number(inv, "timeout", URD_FOREVER), now_ns = urd_cx_now(cx);
    return patience_ns < URD_FOREVER - now_ns ? now_ns + patience_ns : URD_FOREVER;
}

/* Wait for @id, print it, answer its exit status. */
static int wait_for(struct urd_cx *cx, const struct client_invocation *inv,
                    struct urd_client *client, const char *id)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *json;
    enum urd_saga_state state;
    urd_err err = urd_client_wait(cx, client, id, deadline_of(cx, inv), &state, &json, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    show_saga(inv, json);
    free(json);
    return exit_of_state(state);
}

static int submit(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client,
                  bool wait)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *document, *json;
    struct urd_saga_receipt receipt;
    int status = load_document(cx, inv, &document);
    if (status != 0) return status;
    urd_err err =
        urd_client_submit(cx, client, document, client_text(inv, "key", NULL), &receipt, why);
    free(document);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (wait) {
        if (!inv->json)
            (void)fprintf(stderr, "accepted %s%s\n", receipt.id,
                          receipt.existed ? " (known already)" : "");
        return wait_for(cx, inv, client, receipt.id);
    }
    if (!inv->json) {
        (void)printf("%s\n", receipt.id);
        return CLIENT_EXIT_DONE;
    }
    err = urd_client_show(cx, client, receipt.id, &json, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    show_saga(inv, json);
    free(json);
    return CLIENT_EXIT_DONE;
}

static int run_submit(struct urd_cx *cx, const struct client_invocation *inv,
                      struct urd_client *client)
{
    return submit(cx, inv, client, client_given(inv, "wait"));
}

int client_run_saga_submit(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_submit);
}

/* Print one record, for people or as it is. */
static void print_record(const struct client_invocation *inv, const char *line)
{
    static const char *const shown[] = { "seq", "kind", "saga", "at" };
    if (inv->json) {
        (void)printf("%s\n", line);
        return;
    }
    json_t *record = client_json_read(line, strlen(line));
    json_int_t seq = json_integer_value(json_object_get(record, "seq"));
    (void)printf("%4" JSON_INTEGER_FORMAT "  %-18s ", seq, client_json_text(record, "kind"));
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        (void)json_object_del(record, shown[i]);
    char *rest = json_dumps(record, JSON_COMPACT | JSON_PRESERVE_ORDER);
    (void)printf("%.200s%s\n", rest != NULL ? rest : "",
                 rest != NULL && strlen(rest) > 200 ? "…" : "");
    free(rest);
    json_decref(record);
}

static int run_history(struct urd_cx *cx, const struct client_invocation *inv,
                       struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *lines;
    urd_err err =
        urd_client_history(cx, client, inv->args[0], client_number(inv, "since", 0), &lines, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    for (char *line = lines, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        print_record(inv, line);
    }
    free(lines);
    return CLIENT_EXIT_DONE;
}

int client_run_saga_history(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_history);
}

static void tell_record(void *arg, const char *record_json)
{
    print_record(arg, record_json);
    (void)fflush(stdout);
}

/* Print records as they become durable until the saga has ended or is stuck; then the saga. */
static int watch(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client,
                 const char *id)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *json;
    enum urd_saga_state state;
    urd_err err = urd_client_watch(cx, client, id, 0, deadline_of(cx, inv), tell_record,
                                   (void *)inv, &state, why);
    if (err == URD_OK) err = urd_client_show(cx, client, id, &json, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    show_saga(inv, json);
    free(json);
    return exit_of_state(state);
}

static int run_watch(struct urd_cx *cx, const struct client_invocation *inv,
                     struct urd_client *client)
{
    return watch(cx, inv, client, inv->args[0]);
}

int client_run_saga_watch(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_watch);
}

static int run_run(struct urd_cx *cx, const struct client_invocation *inv,
                   struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *document;
    struct urd_saga_receipt receipt;
    int status = load_document(cx, inv, &document);
    if (status != 0) return status;
    urd_err err =
        urd_client_submit(cx, client, document, client_text(inv, "key", NULL), &receipt, why);
    free(document);
    if (err != URD_OK) return client_fail(inv, err, why);
    return watch(cx, inv, client, receipt.id);
}

int client_run_saga_run(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_run);
}

/* Batches for people, one a line. */
static void print_plan(const char *plan)
{
    size_t i, k;
    json_t *batch, *step, *json = client_json_read(plan, strlen(plan)),
                          *waits = json_object_get(json, "durable_waits");
    json_array_foreach(json_object_get(json, "batches"), i, batch)
    {
        (void)printf("batch %zu  %s ", i + 1,
                     json_is_true(json_object_get(batch, "monotone")) ? "together:"
                                                                      : "barrier, then:");
        json_array_foreach(json_object_get(batch, "steps"), k, step)
        {
            const char *name = json_string_value(step);
            (void)printf(" %s", name != NULL ? name : client_json_text(step, "name"));
        }
        (void)printf("\n");
    }
    (void)printf("durable waits: %" JSON_INTEGER_FORMAT " (a wait a step: %" JSON_INTEGER_FORMAT
                 ")\n",
                 json_integer_value(json_object_get(waits, "calm")),
                 json_integer_value(json_object_get(waits, "naive")));
    json_decref(json);
}

int client_run_saga_plan(struct urd_cx *cx, const struct client_invocation *inv)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *document, *plan;
    int status = load_document(cx, inv, &document);
    if (status != 0) return status;
    urd_err err = node_command_plan(document, &plan, why, sizeof why);
    free(document);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (inv->json)
        (void)printf("%s\n", plan);
    else
        print_plan(plan);
    free(plan);
    return CLIENT_EXIT_DONE;
}

static int run_show(struct urd_cx *cx, const struct client_invocation *inv,
                    struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *json;
    urd_err err = urd_client_show(cx, client, inv->args[0], &json, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    show_saga(inv, json);
    free(json);
    return CLIENT_EXIT_DONE;
}

int client_run_saga_show(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_show);
}

enum { LABEL_BYTES = 512 };

/* The rest of the filter that the flags ask for.  False after a sentence on standard error. */
static bool read_filter(const struct client_invocation *inv, char label[LABEL_BYTES],
                        struct urd_saga_filter *filter)
{
    const char *since = client_text(inv, "since", NULL), *pair = client_text(inv, "label", NULL);
    uint64_t limit = client_number(inv, "limit", 0);
    int64_t since_s = 0;
    if (since != NULL && (urd_caps_time_parse(since, strlen(since), &since_s) != URD_OK ||
                          since_s > INT64_MAX / 1000000000)) {
        (void)fprintf(stderr, "urd: --since wants YYYY-MM-DDThh:mm:ssZ, before 2262\n");
        return false;
    }
    const char *equals = pair != NULL ? strchr(pair, '=') : NULL;
    if (pair != NULL && (equals == NULL || strlen(pair) >= LABEL_BYTES)) {
        (void)fprintf(stderr, "urd: --label wants K=V\n");
        return false;
    }
    filter->limit = limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
    filter->since_ns = since_s * 1000000000;
    if (pair != NULL) {
        memcpy(label, pair, strlen(pair) + 1);
        label[equals - pair] = '\0';
        filter->label_key = label;
        filter->label_value = label + (equals - pair) + 1;
    }
    return true;
}

static int run_list(struct urd_cx *cx, const struct client_invocation *inv,
                    struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", label[LABEL_BYTES], *lines;
    struct urd_saga_filter filter = { .state = client_text(inv, "state", NULL),
                                      .name = client_text(inv, "name", NULL) };
    if (!read_filter(inv, label, &filter)) return CLIENT_EXIT_USAGE;
    urd_err err = urd_client_list(cx, client, &filter, &lines, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (inv->json) (void)fputs(lines, stdout);
    for (char *line = lines, *end; !inv->json && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        *end = '\0';
        json_t *saga = client_json_read(line, strlen(line));
        (void)printf("%s  %-13s %s\n", client_json_text(saga, "id"),
                     client_json_text(saga, "state"), client_json_text(saga, "name"));
        json_decref(saga);
    }
    free(lines);
    return CLIENT_EXIT_DONE;
}

int client_run_saga_list(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_list);
}

/* After a verb: the saga as it now stands, or why not. */
static int after_verb(struct urd_cx *cx, const struct client_invocation *inv,
                      struct urd_client *client, urd_err err, const char *why)
{
    if (err != URD_OK) return client_fail(inv, err, why);
    return inv->json ? run_show(cx, inv, client) : CLIENT_EXIT_DONE;
}

static int run_cancel(struct urd_cx *cx, const struct client_invocation *inv,
                      struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = urd_client_cancel(cx, client, inv->args[0], why);
    return after_verb(cx, inv, client, err, why);
}

static int run_pause(struct urd_cx *cx, const struct client_invocation *inv,
                     struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = urd_client_pause(cx, client, inv->args[0], why);
    return after_verb(cx, inv, client, err, why);
}

static int run_resume(struct urd_cx *cx, const struct client_invocation *inv,
                      struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = urd_client_resume(cx, client, inv->args[0], why);
    return after_verb(cx, inv, client, err, why);
}

static int run_signal(struct urd_cx *cx, const struct client_invocation *inv,
                      struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    const char *json = inv->args_count > 2 ? inv->args[2] : NULL;
    urd_err err = urd_client_signal(cx, client, inv->args[0], inv->args[1], json, why);
    return after_verb(cx, inv, client, err, why);
}

static int run_resolve(struct urd_cx *cx, const struct client_invocation *inv,
                       struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err =
        urd_client_resolve(cx, client, inv->args[0], inv->args[1], client_given(inv, "done"), why);
    return after_verb(cx, inv, client, err, why);
}

static int run_complete(struct urd_cx *cx, const struct client_invocation *inv,
                        struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = urd_client_complete(cx, client, inv->args[0], client_text(inv, "result", NULL),
                                      client_text(inv, "fail", NULL), why);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, why);
}

int client_run_saga_cancel(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_cancel);
}

int client_run_saga_pause(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_pause);
}

int client_run_saga_resume(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_resume);
}

int client_run_saga_signal(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, run_signal);
}

int client_run_saga_resolve(struct urd_cx *cx, const struct client_invocation *inv)
{
    if (client_given(inv, "done") == client_given(inv, "retry")) {
        (void)fprintf(stderr, "urd: saga resolve wants one of --done and --retry\n");
        return CLIENT_EXIT_USAGE;
    }
    return client_connected(cx, inv, run_resolve);
}

int client_run_saga_complete(struct urd_cx *cx, const struct client_invocation *inv)
{
    if (client_given(inv, "result") && client_given(inv, "fail")) {
        (void)fprintf(stderr, "urd: saga complete wants --result or --fail, not both\n");
        return CLIENT_EXIT_USAGE;
    }
    return client_connected(cx, inv, run_complete);
}
