/* The node sends: an open builds the manifest of what lies at a path below root/ and starts its
 * session. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/files_internal.h"

/* Build the manifest and all that goes with it. */
static urd_err build(struct urd_cx *cx, struct node_call *call, struct node_file_session *s,
                     Urd__V1__FileOpenReply *reply)
{
    const Urd__V1__FileOpen *body = call->request->file_open;
    char *path;
    bool ok = true;
    uint8_t *manifest, id[NODE_ID_BYTES];
    size_t manifest_len;
    urd_err err = node_file_path_of(call, &body->path, &path);
    if (err != URD_OK) return err;
    memcpy(s->path, path, strlen(path) + 1);
    const char *paths[] = { path };
    bool contents = body->contents_only || path[0] == '\0';
    err = urd_fountain_file_source_open(cx, node_root(call->node), paths, 1, contents,
                                        body->symbol_bytes, &s->manifest, &s->source, call->errmsg,
                                        sizeof call->errmsg);
    if (err != URD_OK) return err;
    err = urd_fountain_digests_new(s->manifest.layout.blocks, &s->digests);
    if (err == URD_OK) err = urd_fountain_manifest_encode(&s->manifest, &manifest, &manifest_len);
    if (err != URD_OK) return err;
    (void)crypto_generichash(id, sizeof id, manifest, manifest_len, NULL, 0);
    reply->manifest = node_call_bytes(call, manifest, manifest_len, &ok);
    free(manifest);
    if (ok) reply->transfer_id = node_call_bytes(call, id, sizeof id, &ok);
    memcpy(s->id, id, sizeof s->id);
    return ok ? urd_caps_grant_clone(call->grant, &s->grant) : URD_E_NOMEM;
}

urd_err node_file_open(struct urd_cx *cx, struct node_call *call)
{
    if (call->request->file_open->holder_count > 1)
        return node_call_fail(call, URD_E_UNSUPPORTED,
                              "several holders of one download are not supported yet");
    Urd__V1__FileOpenReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileOpenReply, urd__v1__file_open_reply__init);
    struct node_file_session *s = node_file_session_new(call->service);
    urd_err err = URD_E_NOMEM;
    if (reply != NULL && s != NULL) {
        err = build(cx, call, s, reply);
        if (err == URD_OK)
            err = node_file_session_agree(cx, call, s, call->request->file_open->terms,
                                          &reply->terms);
        if (err == URD_OK) {
            reply->session_id = s->agreement.id;
            err = node_file_session_start(cx, s);
        }
    }
    node_file_session_unref(s);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_OPEN;
    call->reply.file_open = reply;
    return URD_OK;
}

urd_err node_file_run_send(struct urd_cx *cx, struct node_file_session *s)
{
    struct urd_fountain_send_options options = { .agreement = &s->agreement,
                                                 .manifest = &s->manifest,
                                                 .source =
                                                     urd_fountain_file_source_table(s->source),
                                                 .digests = s->digests,
                                                 .peer = s->peer,
                                                 .rate = { .mode = URD_FOUNTAIN_RATE_FAIR,
                                                           .max_bps = s->rate_max_bps,
                                                           .start_bps = s->start_rate_bps },
                                                 .window_bytes = NODE_FILE_WINDOW_BYTES,
                                                 .idle_ns = NODE_FILE_IDLE_NS };
    return urd_fountain_send(cx, s->files->hub, &options, &s->stats, s->why, sizeof s->why);
}

/* Wait for digests past the asked one, and answer what is known then. */
static urd_err read_digests(struct urd_cx *cx, struct node_call *call, struct node_file_session *s,
                            uint64_t from, Urd__V1__FileOpenDigestsReply *reply)
{
    bool ok = true;
    uint32_t next;
    size_t len;
    if (from > s->manifest.layout.blocks)
        return node_call_fail(call, URD_E_INVALID, "no such block");
    urd_err err = urd_fountain_digests_wait(cx, s->digests, (uint32_t)from, call->deadline_ns);
    if (err == URD_E_CLOSED && s->err != URD_OK && urd_event_is_set(&s->ended))
        return node_call_fail(call, s->err == URD_E_CANCELLED ? URD_E_STATE : s->err,
                              "the sender has stopped: %s",
                              s->why[0] != '\0' ? s->why : urd_err_text(s->err));
    if (err != URD_OK && err != URD_E_TIMEOUT && err != URD_E_CLOSED) return err;
    uint8_t *bytes = malloc(URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX);
    if (bytes == NULL) return URD_E_NOMEM;
    err = urd_fountain_digests_encode(s->digests, (uint32_t)from, bytes,
                                      URD_FOUNTAIN_DIGESTS_BATCH_BYTES_MAX, &len, &next);
    if (err == URD_OK) {
        reply->next = next;
        if (next > from || next > s->manifest.layout.blocks)
            reply->batch = node_call_bytes(call, bytes, len, &ok);
    }
    free(bytes);
    return ok ? err : URD_E_NOMEM;
}

urd_err node_file_open_digests(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileOpenDigests *body = call->request->file_open_digests;
    Urd__V1__FileOpenDigestsReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileOpenDigestsReply, urd__v1__file_open_digests_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    struct node_file_session *s = node_file_session_find(call->service, body->session_id, false);
    if (s == NULL) return node_call_fail(call, URD_E_NOT_FOUND, "no such session, or no longer");
    urd_err err = read_digests(cx, call, s, body->from, reply);
    node_file_session_unref(s);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_OPEN_DIGESTS;
    call->reply.file_open_digests = reply;
    return URD_OK;
}

urd_err node_file_open_finish(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileOpenFinish *body = call->request->file_open_finish;
    struct node_file_session *s = node_file_session_find(call->service, body->session_id, false);
    if (s == NULL) return node_call_fail(call, URD_E_NOT_FOUND, "no such session, or no longer");
    urd_err err = node_file_session_finish(cx, call, s, body->end);
    node_file_session_unref(s);
    return err;
}
