/* `urd cap …`: attenuate and show are offline and need no key; the rest asks a node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps/explain.h"
#include "caps/text.h"
#include "client/caveats.h"
#include "client/commands_internal.h"
#include "client/connect.h"
#include "client/session.h"
#include "client/where.h"

/* Print @token as its one line.  Answers the exit status. */
static int print_token(const struct client_invocation *inv, const struct urd_caps_token *token)
{
    char *text;
    urd_err err = urd_caps_token_to_text(token, &text);
    if (err != URD_OK) return client_fail(inv, err, NULL);
    if (inv->json)
        client_print_json(json_pack("{ss}", "token", text));
    else
        (void)printf("%s\n", text);
    client_text_wipe(text);
    return CLIENT_EXIT_DONE;
}

/* The token that the first argument gives, with its discharges.  Answers an exit status, 0 to go
 * on. */
static int read_bundle(struct urd_cx *cx, const struct client_invocation *inv,
                       struct urd_caps_bundle *ret)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "", *text;
    bool shown;
    urd_err err = client_token_text(cx, inv->args[0], false, &text, &shown, why);
    if (err != URD_OK) return client_fail(inv, err, why);
    if (shown) client_warn_shown();
    err = urd_caps_bundle_from_text(text, strlen(text), ret);
    client_text_wipe(text);
    if (err == URD_OK) return 0;
    (void)client_fail(inv, err, "that is not a token");
    return CLIENT_EXIT_DENIED;
}

int client_run_cap_attenuate(struct urd_cx *cx, const struct client_invocation *inv)
{
    uint8_t link[URD_CAPS_LINK_BYTES];
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    struct client_caveats *p = calloc(1, sizeof *p);
    if (p == NULL) return client_fail(inv, URD_E_NOMEM, NULL);
    int status = CLIENT_EXIT_USAGE;
    struct urd_caps_bundle bundle;
    if (!client_caveats_read(cx, inv, p)) goto done;
    status = read_bundle(cx, inv, &bundle);
    if (status != 0) goto done;
    urd_err err = urd_cx_random(cx, link, sizeof link);
    if (err == URD_OK && bundle.discharge_count > 0)
        err = client_say(why, URD_E_STATE,
                         "its discharges are bound already: attenuate first, bind last");
    if (err == URD_OK)
        err = urd_caps_token_attenuate(bundle.root, (const char *const *)p->list, p->count, link,
                                       why, sizeof why);
    status = err == URD_OK ? print_token(inv, bundle.root) : client_fail(inv, err, why);
    urd_caps_bundle_done(&bundle);
done:
    free(p);
    return status;
}

struct telling {
    bool json;
    json_t *caveats, *handles;
};

static void tell(void *arg, const struct urd_caps_explanation *e)
{
    struct telling *t = arg;
    if (!t->json) (void)printf("%-12s %s\n", urd_caps_kind_name(e->kind), e->words);
    (void)json_array_append_new(t->caveats,
                                json_pack("{ssssss}", "kind", urd_caps_kind_name(e->kind), "text",
                                          e->text, "words", e->words));
    if (e->handle[0] == '\0') return;
    (void)json_array_append_new(t->handles, json_string(e->handle));
    if (!t->json) (void)printf("             can be revoked as %s\n", e->handle);
}

int client_run_cap_show(struct urd_cx *cx, const struct client_invocation *inv)
{
    struct urd_caps_bundle bundle;
    struct telling t = { .json = inv->json, .caveats = json_array(), .handles = json_array() };
    int status = read_bundle(cx, inv, &bundle);
    if (status == 0) {
        urd_err err = urd_caps_explain(bundle.root, tell, &t);
        urd_caps_bundle_done(&bundle);
        if (err != URD_OK)
            status = client_fail(inv, err, NULL);
        else if (inv->json)
            client_print_json(
                json_pack("{sOsO}", "caveats", t.caveats, "revocation_ids", t.handles));
    }
    json_decref(t.caveats);
    json_decref(t.handles);
    return status;
}

static int mint(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__CapMint body = URD__V1__CAP_MINT__INIT;
    struct client_caveats *p = calloc(1, sizeof *p);
    if (p == NULL) return client_fail(inv, URD_E_NOMEM, NULL);
    if (!client_caveats_read(cx, inv, p)) {
        free(p);
        return CLIENT_EXIT_USAGE;
    }
    body.caveats = p->list;
    body.n_caveats = p->count;
    urd_err err = client_request_init(cx, &request);
    request.message.body_case = URD__V1__REQUEST__BODY_CAP_MINT;
    request.message.cap_mint = &body;
    if (err == URD_OK)
        err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_CAP_MINT, &reply, why);
    free(p);
    if (err != URD_OK) return client_fail(inv, err, why);

    struct urd_caps_bundle bundle;
    int status;
    err = urd_caps_bundle_decode(reply->cap_mint->token.data, reply->cap_mint->token.len, &bundle);
    if (err == URD_OK) {
        status = print_token(inv, bundle.root);
        urd_caps_bundle_done(&bundle);
    } else {
        status = client_fail(inv, err, "the node answered what is no token");
    }
    node_reply_free(reply);
    return status;
}

int client_run_cap_mint(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, mint);
}

static int verify(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    struct client_request request;
    struct urd_caps_bundle bundle;
    ProtobufCBinaryData tokens[NODE_TOKENS_MAX];
    Urd__V1__Reply *reply;
    Urd__V1__CapVerify body = URD__V1__CAP_VERIFY__INIT;
    int status = read_bundle(cx, inv, &bundle);
    if (status != 0) return status;
    urd_err err = client_tokens_encode(&bundle, tokens, &body.n_tokens);
    urd_caps_bundle_done(&bundle);
    if (err != URD_OK) return client_fail(inv, err, NULL);
    body.tokens = tokens;
    body.action = (char *)client_text(inv, "action", "");
    body.resource = (char *)client_text(inv, "resource", "");
    err = client_request_init(cx, &request);
    request.message.body_case = URD__V1__REQUEST__BODY_CAP_VERIFY;
    request.message.cap_verify = &body;
    if (err == URD_OK)
        err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_CAP_VERIFY, &reply, why);
    client_tokens_done(tokens, body.n_tokens);
    if (err != URD_OK) return client_fail(inv, err, why);

    const Urd__V1__CapVerifyReply *answer = reply->cap_verify;
    status = answer->allowed ? CLIENT_EXIT_DONE : CLIENT_EXIT_DENIED;
    if (inv->json)
        client_print_json(json_pack("{sbssssss}", "allowed", answer->allowed, "code", answer->code,
                                    "caveat", answer->caveat, "message", answer->message));
    else if (answer->allowed)
        (void)printf("allowed\n");
    else
        (void)fprintf(stderr, "urd: refused: %s (%s)\n", answer->message, answer->code);
    node_reply_free(reply);
    return status;
}

int client_run_cap_verify(struct urd_cx *cx, const struct client_invocation *inv)
{
    if (!client_given(inv, "action") || !client_given(inv, "resource")) {
        (void)fprintf(stderr, "urd: cap verify wants --action and --resource\n");
        return CLIENT_EXIT_USAGE;
    }
    return client_connected(cx, inv, verify);
}

static void print_revoked(const struct client_invocation *inv,
                          const Urd__V1__CapRevokeReply *answer)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < answer->n_nodes; i++) {
        const Urd__V1__Confirmation *c = answer->nodes[i];
        (void)json_array_append_new(
            nodes, json_pack("{sssb}", "node", c->node, "confirmed", c->confirmed));
        if (!inv->json)
            (void)printf("  %-16s %s\n", c->node,
                         c->confirmed ? "confirmed" : "not heard yet: as soon as it is back");
    }
    if (inv->json)
        client_print_json(json_pack("{sssO}", "revoked", answer->handle, "nodes", nodes));
    else
        (void)printf("revoked %s\n", answer->handle);
    json_decref(nodes);
}

/* Whether @text is a handle (TOKENID or TOKENID/LINK), not a token. */
static bool is_handle(const char *text)
{
    uint8_t token_id[URD_CAPS_TOKEN_ID_BYTES], link[URD_CAPS_LINK_BYTES];
    bool has_link;
    return urd_caps_handle_parse(text, token_id, link, &has_link) == URD_OK;
}

static int revoke(struct urd_cx *cx, const struct client_invocation *inv, struct urd_client *client)
{
    char why[URD_CLIENT_ERRMSG_MAX] = "";
    struct client_request request;
    ProtobufCBinaryData tokens[NODE_TOKENS_MAX];
    Urd__V1__Reply *reply;
    Urd__V1__CapRevoke body = URD__V1__CAP_REVOKE__INIT;
    urd_err err;
    if (is_handle(inv->args[0])) {
        body.handle = (char *)inv->args[0];
    } else {
        struct urd_caps_bundle bundle;
        int status = read_bundle(cx, inv, &bundle);
        if (status != 0) return status;
        err = client_tokens_encode(&bundle, tokens, &body.n_tokens);
        urd_caps_bundle_done(&bundle);
        if (err != URD_OK) return client_fail(inv, err, NULL);
        body.tokens = tokens;
    }
    body.reason = (char *)client_text(inv, "reason", "");
    body.widen = client_given(inv, "widen");
    body.all = client_given(inv, "all");
    err = client_request_init(cx, &request);
    request.message.body_case = URD__V1__REQUEST__BODY_CAP_REVOKE;
    request.message.cap_revoke = &body;
    if (err == URD_OK)
        err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_CAP_REVOKE, &reply, why);
    client_tokens_done(tokens, body.n_tokens);
    if (err != URD_OK) return client_fail(inv, err, why);
    print_revoked(inv, reply->cap_revoke);
    node_reply_free(reply);
    return CLIENT_EXIT_DONE;
}

int client_run_cap_revoke(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, revoke);
}

static void print_entry(const struct client_invocation *inv, const Urd__V1__RevokedEntry *e)
{
    if (inv->json)
        client_print_json(json_pack("{sssssssssIsI}", "id", e->handle, "reason", e->reason, "by",
                                    e->by, "node", e->node, "at_ns", (json_int_t)e->at_ns,
                                    "expires_s", (json_int_t)e->expires_s));
    else
        (void)printf("%-66s %-12s %s\n", e->handle, e->node, e->reason);
}

static int revoked(struct urd_cx *cx, const struct client_invocation *inv,
                   struct urd_client *client)
{
    char after[NODE_STRING_BYTES_MAX + 1] = "", why[URD_CLIENT_ERRMSG_MAX] = "";
    do {
        struct client_request request;
        Urd__V1__Reply *reply;
        Urd__V1__CapRevoked body = URD__V1__CAP_REVOKED__INIT;
        body.after = after;
        urd_err err = client_request_init(cx, &request);
        request.message.body_case = URD__V1__REQUEST__BODY_CAP_REVOKED;
        request.message.cap_revoked = &body;
        if (err == URD_OK)
            err = client_ask(cx, client, NULL, &request, URD__V1__REPLY__BODY_CAP_REVOKED, &reply,
                             why);
        if (err != URD_OK) return client_fail(inv, err, why);
        for (size_t i = 0; i < reply->cap_revoked->n_entries; i++)
            print_entry(inv, reply->cap_revoked->entries[i]);
        (void)snprintf(after, sizeof after, "%s", reply->cap_revoked->after);
        node_reply_free(reply);
    } while (after[0] != '\0');
    return CLIENT_EXIT_DONE;
}

int client_run_cap_revoked(struct urd_cx *cx, const struct client_invocation *inv)
{
    return client_connected(cx, inv, revoked);
}
