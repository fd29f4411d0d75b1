/* The file service's life, and its sessions: made by a request, run by a task, asked about by later
 * requests, forgotten a while after they ended. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/files_internal.h"

#define REAP_NS UINT64_C(5000000000)

struct node_file_session *node_file_session_new(struct node_files *files)
{
    struct node_file_session *s = calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->files = files;
    s->refs = 1;
    s->cancel = URD_EVENT_INIT;
    s->ended = URD_EVENT_INIT;
    urd_fountain_manifest_init(&s->manifest);
    return s;
}

void node_file_session_unref(struct node_file_session *s)
{
    if (s == NULL || --s->refs > 0) return;
    urd_fountain_file_sink_close(s->sink);
    urd_fountain_file_journal_close(s->journal);
    urd_fountain_file_source_close(s->source);
    urd_fountain_digests_free(s->digests);
    urd_fountain_manifest_done(&s->manifest);
    urd_fountain_agreement_done(&s->agreement);
    urd_caps_grant_free(s->grant);
    urd_dir_close(s->partial);
    free(s->known);
    free(s);
}

static void unlink_session(struct node_files *files, struct node_file_session *s)
{
    for (struct node_file_session **p = &files->sessions; *p != NULL; p = &(*p)->next)
        if (*p == s) {
            *p = s->next;
            files->sessions_count--;
            return;
        }
}

static void forget_ended(struct node_files *files, uint64_t now_ns)
{
    for (struct node_file_session *s = files->sessions, *next; s != NULL; s = next) {
        next = s->next;
        if (!urd_event_is_set(&s->ended) || now_ns < s->ended_ns + NODE_FILE_KEPT_NS) continue;
        unlink_session(files, s);
        node_file_session_unref(s);
    }
}

/* ---- the task
 * ------------------------------------------------------------------------------------ */

static urd_err run_body(struct urd_cx *cx, void *arg)
{
    struct node_file_session *s = arg;
    s->err = s->receiving ? node_file_run_receive(cx, s) : node_file_run_send(cx, s);
    urd_event_set(&s->cancel); /* it is over: nothing more to cancel */
    return URD_OK;
}

/* The transfer on any worker, ended early by `cancel`. */
static void run_transfer(struct urd_cx *cx, struct node_file_session *s)
{
    const struct urd_spawn_options options = { .name = "transfer" };
    urd_err err = URD_OK;
    URD_JOIN(j);
    s->err = URD_E_CANCELLED;
    if (!urd_spawn_join(cx, node_free_scope(s->files->node), &options, run_body, s, j, &err)) {
        s->err = err;
        return;
    }
    (void)!urd_event_wait(cx, &s->cancel, URD_FOREVER);
    urd_join_cancel(cx, j, NULL);
}

static void tell(const struct node_file_session *s)
{
    if (s->err == URD_OK)
        node_log(s->files->node, "file session %s: %llu bytes, %.0f Mbit/s",
                 s->receiving ? "received" : "sent", (unsigned long long)s->stats.bytes,
                 s->stats.goodput_bps / 1e6);
    else
        node_log(s->files->node, "file session %s: %s", s->receiving ? "receiving" : "sending",
                 urd_err_name(s->err));
}

static urd_err run_session(struct urd_cx *cx, void *arg)
{
    struct node_file_session *s = arg;
    run_transfer(cx, s);
    urd_fountain_digests_close(s->digests);
    URD_MASK(m);
    urd_mask(cx, m);
    if (s->receiving && (s->discard || s->err == URD_OK)) {
        urd_fountain_file_journal_close(s->journal);
        s->journal = NULL;
        (void)!urd_fountain_file_sink_discard(cx, s->sink);
        (void)!urd_file_unlink(cx, s->partial, "journal");
        (void)!urd_dir_remove(cx, node_partial(s->files->node), s->partial_name);
    }
    urd_unmask(cx, m);
    s->ended_ns = urd_cx_now(cx);
    if (s->err == URD_OK) s->files->finished++;
    tell(s);
    urd_event_set(&s->ended);
    node_file_session_unref(s);
    return URD_OK;
}

urd_err node_file_session_start(struct urd_cx *cx, struct node_file_session *s)
{
    struct node_files *files = s->files;
    const struct urd_spawn_options options = { .name = "file session" };
    forget_ended(files, urd_cx_now(cx));
    if (files->sessions_count == NODE_FILE_SESSIONS_MAX) return URD_E_FULL;
    s->refs++; /* the task's */
    urd_err err = urd_spawn(cx, node_scope(files->node), &options, run_session, s);
    if (err != URD_OK) {
        s->refs--;
        return err;
    }
    s->refs++; /* the table's */
    s->next = files->sessions;
    files->sessions = s;
    files->sessions_count++;
    return URD_OK;
}

void node_file_session_cancel(struct node_file_session *s)
{
    if (s->cancelled || urd_event_is_set(&s->ended)) return;
    s->cancelled = true;
    urd_event_set(&s->cancel);
}

struct node_file_session *node_file_session_find(struct node_files *files, uint64_t session_id,
                                                 bool receiving)
{
    for (struct node_file_session *s = files->sessions; s != NULL; s = s->next)
        if (s->agreement.id == session_id && s->receiving == receiving) {
            s->refs++;
            return s;
        }
    return NULL;
}

/* ---- what requests about a session have in common
 * --------------------------------------------------- */

static struct node_file_session *named(const struct node_call *call)
{
    const Urd__V1__Request *r = call->request;
    struct node_files *files = call->service;
    switch (r->body_case) {
    case URD__V1__REQUEST__BODY_FILE_OFFER_DIGESTS:
        return node_file_session_find(files, r->file_offer_digests->session_id, true);
    case URD__V1__REQUEST__BODY_FILE_OFFER_FINISH:
        return node_file_session_find(files, r->file_offer_finish->session_id, true);
    case URD__V1__REQUEST__BODY_FILE_OPEN_DIGESTS:
        return node_file_session_find(files, r->file_open_digests->session_id, false);
    case URD__V1__REQUEST__BODY_FILE_OPEN_FINISH:
        return node_file_session_find(files, r->file_open_finish->session_id, false);
    default:
        return NULL;
    }
}

urd_err node_file_session_resource(struct urd_cx *cx, struct node_call *call, unsigned index,
                                   char ret[static NODE_RESOURCE_TEXT_MAX])
{
    (void)cx;
    if (index > 0) return URD_E_NOT_FOUND;
    struct node_file_session *s = named(call);
    if (s == NULL) return node_call_fail(call, URD_E_NOT_FOUND, "no such session, or no longer");
    urd_err err = node_resource_of_file(ret, node_name(call->node), (const uint8_t *)s->path,
                                        strlen(s->path));
    node_file_session_unref(s);
    return err;
}

urd_err node_file_session_agree(struct urd_cx *cx, struct node_call *call,
                                struct node_file_session *s, const Urd__V1__FileTerms *theirs,
                                Urd__V1__FileTerms **ret)
{
    struct urd_fountain_offer their_offer, own_offer;
    uint8_t bytes[URD_FOUNTAIN_OFFER_LEN];
    const struct node_config *config = node_configuration(call->node);
    bool ok = true;
    if (theirs == NULL)
        return node_call_fail(call, URD_E_INVALID, "the terms of the session are missing");
    Urd__V1__FileTerms *terms = NODE_CALL_NEW(call, Urd__V1__FileTerms, urd__v1__file_terms__init);
    if (terms == NULL) return URD_E_NOMEM;
    if (theirs->address[0] != '\0' && urd_address_parse(theirs->address, &s->peer) != URD_OK)
        return node_call_fail(call, URD_E_INVALID, "the address of the terms is not ADDR:PORT");
    urd_err err = urd_fountain_offer_decode(theirs->offer.data, theirs->offer.len, &their_offer);
    if (err != URD_OK) return node_call_fail(call, err, "the offer of the session does not parse");
    err = urd_fountain_offer_make(cx, &own_offer);
    if (err == URD_OK) {
        urd_fountain_agree(s->receiving ? &their_offer : &own_offer,
                           s->receiving ? &own_offer : &their_offer, &s->agreement);
        urd_fountain_offer_encode(&own_offer, bytes);
        terms->offer = node_call_bytes(call, bytes, sizeof bytes, &ok);
        terms->address = node_call_text(
            call, config->data_advertise[0] != '\0' ? config->data_advertise : config->data_listen);
        terms->rate_max_bps = config->data_rate_max_bps;
        if (!ok || terms->address == NULL) err = URD_E_NOMEM;
    }
    urd_fountain_offer_done(&their_offer);
    urd_fountain_offer_done(&own_offer);
    if (err != URD_OK) return err;
    s->rate_max_bps = theirs->rate_max_bps;
    if (config->data_rate_max_bps != 0 &&
        (s->rate_max_bps == 0 || config->data_rate_max_bps < s->rate_max_bps))
        s->rate_max_bps = config->data_rate_max_bps;
    s->start_rate_bps = theirs->start_rate_bps;
    *ret = terms;
    return URD_OK;
}

/* What an ended session came to. */
static urd_err finish_reply(struct node_call *call, const struct node_file_session *s)
{
    bool ok = true;
    if (s->err != URD_OK)
        return node_call_fail(call, s->err == URD_E_CANCELLED ? URD_E_STATE : s->err, "%s",
                              s->why[0] != '\0' ? s->why : urd_err_text(s->err));
    Urd__V1__FileFinishReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileFinishReply, urd__v1__file_finish_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    reply->root_digest = node_call_bytes(call, s->stats.digest, sizeof s->stats.digest, &ok);
    reply->bytes = s->manifest.layout.total_bytes;
    reply->datagrams = s->stats.datagrams;
    reply->datagrams_lost = (uint64_t)((double)s->stats.datagrams * s->stats.loss);
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_FINISH;
    call->reply.file_finish = reply;
    return ok ? URD_OK : URD_E_NOMEM;
}

urd_err node_file_session_finish(struct urd_cx *cx, struct node_call *call,
                                 struct node_file_session *s, Urd__V1__FileEnd end)
{
    if (end != URD__V1__FILE_END__FILE_END_COMPLETE) {
        s->discard = s->discard || end == URD__V1__FILE_END__FILE_END_DISCARD;
        node_file_session_cancel(s);
    }
    urd_err err = urd_event_wait(cx, &s->ended, call->deadline_ns);
    if (err == URD_E_TIMEOUT) return node_call_fail(call, URD_E_BUSY, "blocks are still missing");
    if (err != URD_OK) return err;
    if (end != URD__V1__FILE_END__FILE_END_COMPLETE && s->err != URD_OK)
        return node_call_done(call);
    return finish_reply(call, s);
}

urd_err node_file_path_of(struct node_call *call, const ProtobufCBinaryData *bytes, char **ret)
{
    if (!node_path_ok(bytes->data, bytes->len))
        return node_call_fail(
            call, URD_E_INVALID,
            "a path is relative to the node's root, without empty, `.` or `..` parts");
    char *path = node_call_alloc(call, bytes->len + 1);
    if (path == NULL) return URD_E_NOMEM;
    if (bytes->len > 0) memcpy(path, bytes->data, bytes->len);
    path[bytes->len] = '\0';
    *ret = path;
    return URD_OK;
}

/* ---- life
 * ------------------------------------------------------------------------------------------- */

static urd_err run_hub(struct urd_cx *cx, void *arg)
{
    struct node_files *files = arg;
    urd_err err = urd_fountain_hub_run(cx, files->hub);
    if (err != URD_E_CANCELLED) node_log(files->node, "the data socket: %s", urd_err_text(err));
    return err;
}

static urd_err run_reaper(struct urd_cx *cx, void *arg)
{
    struct node_files *files = arg;
    for (;;) {
        urd_err err = urd_sleep(cx, REAP_NS);
        if (err != URD_OK) return err;
        forget_ended(files, urd_cx_now(cx));
    }
}

static urd_err files_open(struct urd_cx *cx, struct node *node, struct urd_scope *scope, void **ret,
                          char *errmsg, size_t errmsg_len)
{
    const struct urd_spawn_options hub = { .name = "data socket" },
                                   reaper = { .name = "file sessions" };
    const char *listen = node_configuration(node)->data_listen;
    struct urd_address local;
    struct node_files *files = calloc(1, sizeof *files);
    if (files == NULL) return URD_E_NOMEM;
    files->node = node;
    urd_err err = urd_address_parse(listen, &local);
    if (err == URD_OK) err = urd_fountain_hub_open(cx, &local, &files->hub);
    if (err != URD_OK) {
        (void)snprintf(errmsg, errmsg_len,
                       err == URD_E_BUSY ? "data.listen: %s is in use; choose another in urd.conf"
                                         : "data.listen: %s cannot be listened on",
                       listen);
        free(files);
        return err;
    }
    *ret = files;
    err = urd_spawn(cx, scope, &hub, run_hub, files);
    if (err == URD_OK) err = urd_spawn(cx, scope, &reaper, run_reaper, files);
    return err;
}

static void files_drain(struct urd_cx *cx, void *service)
{
    struct node_files *files = service;
    for (struct node_file_session *s = files->sessions; s != NULL; s = s->next)
        node_file_session_cancel(s); /* both sides can go on later, from where it stands */
    for (struct node_file_session *s = files->sessions; s != NULL;) {
        s->refs++;
        (void)!urd_event_wait(cx, &s->ended, URD_FOREVER);
        struct node_file_session *next = s->next;
        node_file_session_unref(s);
        s = next;
    }
}

static void files_close(struct urd_cx *cx, void *service)
{
    (void)cx;
    struct node_files *files = service;
    while (files->sessions != NULL) {
        struct node_file_session *s = files->sessions;
        unlink_session(files, s);
        assert(s->refs == 1);
        node_file_session_unref(s);
    }
    urd_fountain_hub_close(files->hub);
    free(files);
}

static void files_revoked(struct urd_cx *cx, void *service)
{
    struct node_files *files = service;
    int64_t wall_ns = 0;
    (void)!urd_cx_wall(cx, &wall_ns);
    for (struct node_file_session *s = files->sessions; s != NULL; s = s->next)
        if (node_grant_dead(files->node, s->grant, wall_ns / 1000000000))
            node_file_session_cancel(s);
}

static void files_status(struct urd_cx *cx, void *service, json_t *status)
{
    (void)cx;
    const struct node_files *files = service;
    struct urd_fountain_hub_stats hub;
    int active = 0;
    for (const struct node_file_session *s = files->sessions; s != NULL; s = s->next)
        if (!urd_event_is_set(&s->ended)) active++;
    urd_fountain_hub_stats(files->hub, &hub);
    (void)json_object_set_new(status, "transfers",
                              json_pack("{sisIsIsI}", "active", active, "finished",
                                        (json_int_t)files->finished, "datagrams",
                                        (json_int_t)hub.datagrams, "datagrams_unknown",
                                        (json_int_t)hub.unknown));
}

static void files_metrics(struct urd_cx *cx, void *service,
                          void (*print)(void *arg, const char *line), void *arg)
{
    (void)cx;
    const struct node_files *files = service;
    struct urd_fountain_hub_stats hub;
    char line[128];
    urd_fountain_hub_stats(files->hub, &hub);
    (void)snprintf(line, sizeof line, "urd_transfers_finished_total %llu",
                   (unsigned long long)files->finished);
    print(arg, line);
    (void)snprintf(line, sizeof line, "urd_transfer_datagrams_total %llu",
                   (unsigned long long)hub.datagrams);
    print(arg, line);
}

#define BODY(name) URD__V1__REQUEST__BODY_FILE_##name
static const struct node_handler handlers[] = {
    { .body = BODY(LOCATE), .handle = node_file_locate },
    { .body = BODY(OFFER), .handle = node_file_offer, .resource = node_file_offer_resource },
    { .body = BODY(OFFER_DIGESTS),
      .handle = node_file_offer_digests,
      .resource = node_file_session_resource },
    { .body = BODY(OFFER_FINISH),
      .handle = node_file_offer_finish,
      .resource = node_file_session_resource },
    { .body = BODY(OPEN), .handle = node_file_open },
    { .body = BODY(OPEN_DIGESTS),
      .handle = node_file_open_digests,
      .resource = node_file_session_resource },
    { .body = BODY(OPEN_FINISH),
      .handle = node_file_open_finish,
      .resource = node_file_session_resource },
    { .body = BODY(LS), .handle = node_file_ls },
    { .body = BODY(STAT), .handle = node_file_stat },
    { .body = BODY(RM), .handle = node_file_rm },
    { .body = 0 }
};

const struct node_service node_files_service = { .name = NODE_FILES_SERVICE,
                                                 .handlers = handlers,
                                                 .open = files_open,
                                                 .drain = files_drain,
                                                 .close = files_close,
                                                 .revoked = files_revoked,
                                                 .status = files_status,
                                                 .metrics = files_metrics };
