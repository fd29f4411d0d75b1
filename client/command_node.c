/* `urd init`, `node`, `status`, `verify`, `backup`, `restore`, `invite`: what is done on a node's
 * own machine is the node's code (node/command.h), the rest is asked of a node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/caveats.h"
#include "client/commands_internal.h"
#include "client/connect.h"
#include "client/json.h"
#include "client/local.h"
#include "client/session.h"
#include "client/where.h"
#include "node/command.h"

#define INVITE_BYTES_MAX 16384u

/* ---- asked of a node ----------------------------------------------------------------------------
 */

/* Ask the door @body.  *@ret is for node_reply_free(). */
static urd_err ask(struct urd_cx *cx, struct urd_client *client,
                   Urd__V1__Request__BodyCase body_case, void *body,
                   Urd__V1__Reply__BodyCase expected, Urd__V1__Reply **ret, char *errmsg)
{
    struct client_request request;
    urd_err err = client_request_init(cx, &request);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    request.message.body_case = body_case;
    request.message.node_status = body; /* every member of the union is a pointer to a message */
    return client_ask(cx, client, NULL, &request, expected, ret, errmsg);
}

static void print_value(const json_t *value)
{
    if (json_is_string(value)) {
        (void)printf("%s\n", json_string_value(value));
        return;
    }
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    (void)printf("%s\n", text != NULL ? text : "");
    free(text);
}

/* Whether @value is best shown on a line of its own name: no object, no list of objects. */
static bool is_plain(const json_t *value)
{
    return !json_is_object(value) &&
           !(json_is_array(value) && json_is_object(json_array_get(value, 0)));
}

/* @object for people: a name and its value a line, what is within it indented. */
static void print_object(json_t *object, int indent)
{
    const char *name;
    json_t *value, *item;
    size_t i;
    json_object_foreach(object, name, value)
    {
        (void)printf("%*s%-*s", indent, "", 24 - indent, name);
        if (is_plain(value)) {
            print_value(value);
            continue;
        }
        (void)printf("\n");
        if (json_is_object(value)) print_object(value, indent + 2);
        json_array_foreach(value, i, item)
        {
            print_object(item, indent + 2);
            (void)printf("\n");
        }
    }
}

/* The JSON object in @bytes, as it is or for people. */
static void show(const struct client_invocation *inv, const ProtobufCBinaryData *bytes)
{
    json_t *json = client_json_read((const char *)bytes->data, bytes->len);
    if (inv->json)
        client_print_json(json_incref(json));
    else
        print_object(json, 0);
    json_decref(json);
}

static int status(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    Urd__V1__Reply *reply;
    Urd__V1__NodeStatus body = URD__V1__NODE_STATUS__INIT;
    urd_err err = ask(cx, client, URD__V1__REQUEST__BODY_NODE_STATUS, &body,
                      URD__V1__REPLY__BODY_NODE_STATUS, &reply, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    show(inv, &reply->node_status->json);
    node_reply_free(reply);
    return CLIENT_EXIT_DONE;
}

int client_run_status(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, status);
}

static int verify_asked(struct urd_cx *cx, const struct client_invocation *inv,
                        struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    Urd__V1__Reply *reply;
    Urd__V1__NodeVerify body = URD__V1__NODE_VERIFY__INIT;
    urd_err err = ask(cx, client, URD__V1__REQUEST__BODY_NODE_VERIFY, &body,
                      URD__V1__REPLY__BODY_NODE_VERIFY, &reply, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    bool sound = reply->node_verify->sound;
    show(inv, &reply->node_verify->json);
    node_reply_free(reply);
    return sound ? CLIENT_EXIT_DONE : CLIENT_EXIT_FAILED;
}

static int backup(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    Urd__V1__Reply *reply;
    Urd__V1__NodeBackup body = URD__V1__NODE_BACKUP__INIT;
    body.path = (char *)inv->args[0];
    urd_err err = ask(cx, client, URD__V1__REQUEST__BODY_NODE_BACKUP, &body,
                      URD__V1__REPLY__BODY_DONE, &reply, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    node_reply_free(reply);
    if (inv->json) client_print_json(json_pack("{ss}", "backup", inv->args[0]));
    return CLIENT_EXIT_DONE;
}

int client_run_backup(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, backup);
}

static void print_invite(const struct client_invocation *inv, bool client, const char *text)
{
    size_t len = strlen(text);
    if (inv->json)
        client_print_json(json_pack("{ss}", client ? "profile" : "invite", text));
    else
        (void)printf("%s%s", text, len > 0 && text[len - 1] == '\n' ? "" : "\n");
}

static int invite(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    Urd__V1__Reply *reply;
    Urd__V1__NodeInvite body = URD__V1__NODE_INVITE__INIT;
    struct client_caveats *caveats = calloc(1, sizeof *caveats);
    if (caveats == NULL) return client_fail(inv, URD_E_NOMEM, NULL);
    body.name = (char *)client_text(inv, "name", "");
    body.ca = client_given(inv, "ca");
    body.client = client_given(inv, "client");
    if (!client_caveats_read(cx, inv, caveats)) {
        free(caveats);
        return CLIENT_EXIT_USAGE;
    }
    body.caveats = caveats->list;
    body.n_caveats = caveats->count;
    urd_err err = ask(cx, client, URD__V1__REQUEST__BODY_NODE_INVITE, &body,
                      URD__V1__REPLY__BODY_NODE_INVITE, &reply, why);
    free(caveats);
    if (err != URD_OK) return client_fail(inv, err, why);
    print_invite(inv, body.client, reply->node_invite->text);
    node_reply_free(reply);
    return CLIENT_EXIT_DONE;
}

/* Whether a flag is given that speaks of the capability in a client profile. */
static bool has_caveats(const struct client_invocation *inv)
{
    static const char *const plain[] = { "name", "ca", "client" };
    for (unsigned i = 0; i < inv->values_count; i++) {
        const struct client_flag *flag = inv->values[i].flag;
        bool own = false;
        for (const struct client_flag *f = inv->command->flags; f->name != NULL; f++)
            own = own || f == flag;
        for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++)
            own = own && strcmp(flag->name, plain[k]) != 0;
        if (own) return true;
    }
    return false;
}

int client_run_invite(struct urd_cx *cx, const struct client_invocation *inv)
{
    if (client_given(inv, "client") && (client_given(inv, "ca") || client_given(inv, "name"))) {
        (void)fprintf(stderr, "urd: invite --client takes neither --ca nor --name\n");
        return CLIENT_EXIT_USAGE;
    }
    if (!client_given(inv, "client") && has_caveats(inv)) {
        (void)fprintf(stderr, "urd: caveats go with invite --client\n");
        return CLIENT_EXIT_USAGE;
    }
    return client_connected(cx, inv, invite);
}

/* ---- done here ----------------------------------------------------------------------------------
 */

/* The invite's line that --join gives; *@ret is NULL without. */
static urd_err read_invite(struct urd_cx *cx, const struct client_invocation *inv, char **ret,
                           char *errmsg)
{
    size_t len;
    const char *given = client_text(inv, "join", NULL);
    if (given == NULL) return URD_OK;
    if (strcmp(given, "-") == 0 || given[0] == '@') {
        urd_err err =
            client_local_load(cx, given[0] == '@' ? given + 1 : given, INVITE_BYTES_MAX, ret, &len);
        return err == URD_OK ? URD_OK
                             : client_say(errmsg, err, "the invite: %s", urd_err_text(err));
    }
    (void)fprintf(stderr, "urd: an invite given as text shows in the list of processes; @FILE and "
                          "- do not\n");
    *ret = strdup(given);
    return *ret != NULL ? URD_OK : client_say(errmsg, URD_E_NOMEM, "out of memory");
}

int client_run_init(struct urd_cx *cx, const struct client_invocation *inv)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *invite_text = NULL;
    const char *peers[CLIENT_FLAG_VALUES_MAX];
    struct node_command_init options = { .dir = inv->args[0],
                                         .name = client_text(inv, "name", NULL),
                                         .cluster = client_text(inv, "cluster", NULL),
                                         .rpc = client_text(inv, "rpc", NULL),
                                         .data = client_text(inv, "data", NULL),
                                         .http = client_text(inv, "http", NULL),
                                         .peers = peers,
                                         .plain = client_given(inv, "plain") };
    if (options.name == NULL) {
        (void)fprintf(stderr, "urd: init wants --name\n");
        return CLIENT_EXIT_USAGE;
    }
    const char *peer;
    while ((peer = client_text_nth(inv, "peer", (unsigned)options.peers_count)) != NULL)
        peers[options.peers_count++] = peer;
    urd_err err = read_invite(cx, inv, &invite_text, why);
    options.join = invite_text;
    if (err == URD_OK) err = node_command_init(cx, &options, why, sizeof why);
    client_text_wipe(invite_text);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (inv->json) client_print_json(json_pack("{ssss}", "dir", options.dir, "name", options.name));
    return CLIENT_EXIT_DONE;
}

int client_run_node(struct urd_cx *cx, const struct client_invocation *inv)
{
    (void)cx;
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = node_command_run(inv->args[0], why, sizeof why);
    return err == URD_OK ? CLIENT_EXIT_DONE : client_fail(inv, err, why);
}

static void print_line(void *arg, const char *line)
{
    (void)arg;
    (void)printf("%s\n", line);
}

enum { LEDGERS_MAX = 64 };
#define LEDGER_BYTES_MAX (UINT64_C(2) << 30)

/* Verify the stopped node's store in DIR against @ledgers. */
static int verify_dir(struct urd_cx *cx, const struct client_invocation *inv, char *const *ledgers,
                      size_t count)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *report;
    bool sound;
    struct node_command_verify options = { .dir = inv->args[0],
                                           .ledgers = (const char *const *)ledgers,
                                           .ledgers_count = count,
                                           .require_ends = client_given(inv, "ended"),
                                           .record =
                                               client_given(inv, "history") ? print_line : NULL };
    urd_err err = node_command_verify(cx, &options, &report, &sound, why, sizeof why);
    if (err != URD_OK) return client_fail(inv, err, why);
    show(inv, &(ProtobufCBinaryData){ .data = (uint8_t *)report, .len = strlen(report) });
    free(report);
    return sound ? CLIENT_EXIT_DONE : CLIENT_EXIT_FAILED;
}

int client_run_verify(struct urd_cx *cx, const struct client_invocation *inv)
{
    char *ledgers[LEDGERS_MAX];
    size_t count = 0, len;
    int status = CLIENT_EXIT_DONE;
    if (inv->args_count == 0) {
        if (!client_given(inv, "ledger") && !client_given(inv, "history") &&
            !client_given(inv, "ended"))
            return client_connected(cx, inv, verify_asked);
        (void)fprintf(stderr, "urd: --ledger, --history and --ended want DIR\n");
        return CLIENT_EXIT_USAGE;
    }
    for (const char *path;
         (path = client_text_nth(inv, "ledger", (unsigned)count)) != NULL && count < LEDGERS_MAX;) {
        urd_err err = client_local_load(cx, path, LEDGER_BYTES_MAX, &ledgers[count], &len);
        if (err != URD_OK) {
            char why[URD_CLIENT_ERRMSG_MAX];
            (void)snprintf(why, sizeof why, "%.200s: %s", path, urd_err_text(err));
            status = client_fail(inv, err, why);
            break;
        }
        count++;
    }
    if (status == CLIENT_EXIT_DONE) status = verify_dir(cx, inv, ledgers, count);
    while (count > 0)
        free(ledgers[--count]);
    return status;
}

int client_run_restore(struct urd_cx *cx, const struct client_invocation *inv)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    urd_err err = node_command_restore(cx, inv->args[0], inv->args[1], why, sizeof why);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (inv->json) client_print_json(json_pack("{ss}", "dir", inv->args[1]));
    return CLIENT_EXIT_DONE;
}
