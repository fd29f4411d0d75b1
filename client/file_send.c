/* Paths to nodes: one manifest, and for each node a session of its own.
 *
 *     locate ─► offer (manifest, our half) ─► their half, what they have
 *            ─► send ∥ digests, as blocks are read ─► finish: under its name there */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/file_internal.h"
#include "client/file_paths.h"
#include "fountain/transfer/files.h"

#define RETRY_NS UINT64_C(100000000)

struct sending {
    struct urd_client *client;
    const struct urd_file_options *options;
    const struct client_place_names *dest;
    bool several; /* what is sent goes into a directory */
    struct urd_fountain_manifest manifest;
    struct urd_fountain_file_source *source;
    uint8_t *manifest_bytes;
    size_t manifest_len;
};

struct target {
    struct sending *sending;
    const char *node;
    struct client_data data;
    struct urd_fountain_digests *digests;
    uint32_t digests_known; /* by the receiver, from the first on */
    uint8_t id[NODE_ID_BYTES];
    struct urd_fountain_stats stats;
    struct urd_file_result *result;
    char pump_why[URD_CLIENT_ERRMSG_MAX]; /* of the pump, which runs beside the sender */
};

/* Hand the block digests over as they come to be known, until the receiver has them all. */
static urd_err pump_digests(struct urd_cx *cx, void *arg)
{
    struct target *t = arg;
    uint32_t next = t->digests_known, end = t->sending->manifest.layout.blocks + 1;
    uint8_t *bytes = malloc(URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX);
    if (bytes == NULL) return URD_E_NOMEM;
    urd_err err = URD_OK;
    while (err == URD_OK && next < end) {
        struct client_request request;
        Urd__V1__Reply *reply;
        Urd__V1__FileOfferDigests body = URD__V1__FILE_OFFER_DIGESTS__INIT;
        err = urd_fountain_digests_wait(cx, t->digests, next, URD_FOREVER);
        if (err == URD_OK)
            err = urd_fountain_digests_encode(t->digests, next, bytes,
                                              URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX, &body.batch.len,
                                              &next);
        if (err == URD_OK) err = client_request_init(cx, &request);
        if (err != URD_OK) break;
        body.session_id = t->data.session_id;
        body.batch.data = bytes;
        request.message.body_case = URD__V1__REQUEST__BODY_FILE_OFFER_DIGESTS;
        request.message.file_offer_digests = &body;
        do {
            err = client_ask(cx, t->sending->client, t->node, &request,
                             URD__V1__REPLY__BODY_FILE_OFFER_DIGESTS, &reply, t->pump_why);
        } while (err != URD_OK && urd_err_classify(err) == URD_CLASS_RETRY &&
                 urd_sleep(cx, RETRY_NS) == URD_OK);
        if (err != URD_OK) break;
        if (reply->file_offer_digests->finished) next = end;
        node_reply_free(reply);
    }
    free(bytes);
    return err == URD_E_CLOSED ? URD_OK : err; /* closed: the sender has ended */
}

static urd_err send(struct urd_cx *cx, void *arg)
{
    struct target *t = arg;
    const struct sending *s = t->sending;
    struct client_file_teller teller = { .options = s->options, .node = t->node };
    const struct urd_fountain_send_options options = {
        .agreement = &t->data.agreement,
        .manifest = &s->manifest,
        .source = urd_fountain_file_source_table(s->source),
        .digests = t->digests,
        .peer = t->data.peer,
        .rate = { .mode = URD_FOUNTAIN_RATE_FAIR, .max_bps = s->options->rate_bps },
        .progress = client_file_tell,
        .progress_arg = &teller,
    };
    return urd_fountain_send(cx, t->data.hub, &options, &t->stats, t->result->errmsg,
                             sizeof t->result->errmsg);
}

/* Offer it: their half of the session and what they have of it already. */
static urd_err offer(struct urd_cx *cx, struct target *t, const char *address)
{
    const struct sending *s = t->sending;
    char *errmsg = t->result->errmsg;
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__FileTerms terms;
    Urd__V1__FileOffer body = URD__V1__FILE_OFFER__INIT;
    urd_err err = client_data_init(cx, s->options, &t->data, &terms, errmsg);
    if (err != URD_OK) return err;
    err = client_request_init(cx, &request);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    body.path =
        (ProtobufCBinaryData){ .data = (uint8_t *)s->dest->path, .len = strlen(s->dest->path) };
    body.manifest = (ProtobufCBinaryData){ .data = s->manifest_bytes, .len = s->manifest_len };
    body.transfer_id = (ProtobufCBinaryData){ .data = t->id, .len = sizeof t->id };
    body.terms = &terms;
    body.resume = !s->options->no_resume;
    body.dest_is_directory = s->dest->is_directory || s->several;
    request.message.body_case = URD__V1__REQUEST__BODY_FILE_OFFER;
    request.message.file_offer = &body;
    err = client_ask(cx, s->client, t->node, &request, URD__V1__REPLY__BODY_FILE_OFFER, &reply,
                     errmsg);
    if (err != URD_OK) return err;
    const Urd__V1__FileOfferReply *answer = reply->file_offer;
    uint64_t known = answer->digests_known;
    t->digests_known =
        known <= s->manifest.layout.blocks ? (uint32_t)known : s->manifest.layout.blocks;
    err = client_data_agree(cx, &t->data, answer->session_id, answer->terms, true, address, errmsg);
    node_reply_free(reply);
    return err;
}

static urd_err run_session(struct urd_cx *cx, struct target *t)
{
    struct client_data_tasks tasks = {
        .data = &t->data, .body = send, .beside = pump_digests, .arg = t
    };
    urd_err err = client_data_run(cx, &tasks);
    if (err != URD_OK && err == tasks.beside_err && t->pump_why[0] != '\0')
        (void)client_say(t->result->errmsg, err, "%s", t->pump_why);
    Urd__V1__FileEnd end =
        err == URD_OK ? URD__V1__FILE_END__FILE_END_COMPLETE : URD__V1__FILE_END__FILE_END_PAUSE;
    urd_err told = client_data_finish(cx, t->sending->client, t->node, &t->data, true, end,
                                      err == URD_OK ? t->result->errmsg : NULL);
    return err == URD_OK ? told : err;
}

static urd_err send_to(struct urd_cx *cx, struct target *t)
{
    const struct sending *s = t->sending;
    char address[NODE_URL_BYTES_MAX + 1], where[NODE_PATH_BYTES_MAX + 128];
    (void)snprintf(where, sizeof where, "send %s:/%s%s", t->node, s->dest->path,
                   s->dest->is_directory ? "/" : "");
    client_transfer_id(s->manifest_bytes, s->manifest_len, where, t->id, t->result->id);
    urd_err err = client_file_locate(cx, s->client, t->node, s->dest->path, false, address,
                                     t->result->errmsg);
    if (err != URD_OK) return err;
    err = urd_fountain_digests_new(s->manifest.layout.blocks, &t->digests);
    if (err != URD_OK) return client_say(t->result->errmsg, err, "%s", urd_err_text(err));
    err = offer(cx, t, address);
    if (err == URD_OK)
        err = run_session(cx, t);
    else
        (void)!client_data_finish(cx, s->client, t->node, &t->data, true,
                                  URD__V1__FILE_END__FILE_END_PAUSE, NULL);
    client_data_done(&t->data);
    urd_fountain_digests_free(t->digests);
    return err;
}

static urd_err run_target(struct urd_cx *cx, void *arg)
{
    struct target *t = arg;
    urd_err err = send_to(cx, t);
    client_data_result(&t->stats, err == URD_OK, t->result);
    if (err != URD_OK && t->result->errmsg[0] == '\0')
        (void)client_say(t->result->errmsg, err, "%s", urd_err_text(err));
    return t->result->err = err;
}

/* All targets at once; one that fails does not stop the others. */
static urd_err send_to_all(struct urd_cx *cx, struct sending *s, struct urd_file_result *results,
                           uint32_t *ret_count)
{
    const struct urd_region_options options = { .name = "targets", .policy = URD_REGION_COLLECT };
    const struct urd_spawn_options spawn = { .name = "target", .stack = URD_STACK_LARGE };
    struct target *targets = calloc(s->dest->nodes_count, sizeof *targets);
    if (targets == NULL) return URD_E_NOMEM;
    urd_err err = URD_E_NOMEM;
    URD_REGION(r);
    if (!urd_region_open(cx, &options, r)) {
        free(targets);
        return err;
    }
    for (unsigned i = 0; i < s->dest->nodes_count; i++) {
        results[i] = (struct urd_file_result){ .err = URD_E_CANCELLED };
        (void)snprintf(results[i].node, sizeof results[i].node, "%s", s->dest->nodes[i]);
        targets[i] =
            (struct target){ .sending = s, .node = results[i].node, .result = &results[i] };
        err = urd_spawn(cx, urd_region_scope(r), &spawn, run_target, &targets[i]);
        if (err != URD_OK) results[i].err = err;
    }
    urd_region_join(cx, r, NULL);
    free(targets);
    *ret_count = s->dest->nodes_count;
    for (unsigned i = 0; i < s->dest->nodes_count; i++)
        if (results[i].err != URD_OK) return results[i].err;
    return URD_OK;
}

static urd_err open_source(struct urd_cx *cx, struct sending *s, const struct client_paths *paths,
                           char *errmsg)
{
    urd_err err = urd_fountain_file_source_open(cx, paths->dir, (const char *const *)paths->names,
                                                paths->count, false, s->options->symbol_bytes,
                                                &s->manifest, &s->source, errmsg,
                                                errmsg != NULL ? URD_CLIENT_ERRMSG_MAX : 0);
    if (err != URD_OK) return err;
    err = urd_fountain_manifest_encode(&s->manifest, &s->manifest_bytes, &s->manifest_len);
    if (err == URD_OK) return URD_OK;
    urd_fountain_file_source_close(s->source);
    urd_fountain_manifest_done(&s->manifest);
    return client_say(errmsg, err, "%s", urd_err_text(err));
}

urd_err urd_client_send_files(struct urd_cx *cx, struct urd_client *client,
                              const char *const *paths, uint32_t paths_count, const char *dest,
                              const struct urd_file_options *options, struct urd_file_result *ret,
                              uint32_t *ret_count, char *errmsg)
{
    static const struct urd_file_options none;
    struct client_place_names place;
    struct client_paths local;
    *ret_count = 0;
    if (errmsg != NULL) errmsg[0] = '\0';
    if (paths_count == 0) return client_say(errmsg, URD_E_INVALID, "nothing to send");
    urd_err err = client_file_place(dest, &place, errmsg);
    if (err != URD_OK) return err;
    err = client_paths_open(cx, paths, paths_count, &local, errmsg);
    if (err != URD_OK) return err;
    struct sending s = { .client = client,
                         .options = options != NULL ? options : &none,
                         .dest = &place,
                         .several = paths_count > 1 };
    err = open_source(cx, &s, &local, errmsg);
    if (err == URD_OK) {
        err = send_to_all(cx, &s, ret, ret_count);
        free(s.manifest_bytes);
        urd_fountain_file_source_close(s.source);
        urd_fountain_manifest_done(&s.manifest);
    }
    client_paths_done(&local);
    for (uint32_t i = 0; i < *ret_count; i++)
        if (ret[i].err != URD_OK)
            return client_say(errmsg, err, "%s: %s", ret[i].node, ret[i].errmsg);
    return err;
}
