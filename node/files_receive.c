/* The node receives: an offer names a destination as in cp, opens (or takes up) the partial files
 * of that transfer, and starts its session. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/files_internal.h"

/* Where an offer goes. */
struct destination {
    char folder[NODE_PATH_BYTES_MAX + 1];         /* everything goes beneath; "": the root */
    char single[URD_FOUNTAIN_NAME_BYTES_MAX + 1]; /* the name a lone entry takes; "": its own */
    char path[NODE_PATH_BYTES_MAX + 1];           /* what the offer is judged by */
};

/* The one entry at the top of @manifest; NULL when there are several. */
static const struct urd_fountain_entry *lone_entry(const struct urd_fountain_manifest *manifest)
{
    const struct urd_fountain_entry *lone = NULL;
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        if (strchr(manifest->entries[i].path, '/') != NULL) continue;
        if (lone != NULL) return NULL;
        lone = &manifest->entries[i];
    }
    return lone;
}

static bool is_directory(struct urd_cx *cx, struct node *node, const char *path)
{
    struct urd_file_info info;
    if (path[0] == '\0') return true;
    return urd_file_stat(cx, node_root(node), path, &info) == URD_OK &&
           info.kind == URD_FILE_DIRECTORY;
}

/* As cp: into DEST when it is a directory (or said to be one, or several things come), else DEST is
 * the new name. Errors: URD_E_TOO_BIG. */
static urd_err resolve(struct urd_cx *cx, struct node *node, const char *dest, bool as_directory,
                       const struct urd_fountain_manifest *manifest, struct destination *ret)
{
    const struct urd_fountain_entry *lone = lone_entry(manifest);
    bool renames = lone != NULL && lone->kind != URD_FOUNTAIN_ENTRY_DIRECTORY && !as_directory &&
                   !is_directory(cx, node, dest);
    *ret = (struct destination){ .folder = "" };
    if (!renames) {
        const char *name = lone != NULL ? lone->path : "";
        const char *between = dest[0] != '\0' && name[0] != '\0' ? "/" : "";
        if (strlen(dest) + strlen(name) + 1 > NODE_PATH_BYTES_MAX) return URD_E_TOO_BIG;
        memcpy(ret->folder, dest, strlen(dest) + 1);
        (void)snprintf(ret->path, sizeof ret->path, "%s%s%s", dest, between, name);
        return URD_OK;
    }
    const char *slash = strrchr(dest, '/');
    const char *last = slash != NULL ? slash + 1 : dest;
    if (strlen(last) > URD_FOUNTAIN_NAME_BYTES_MAX) return URD_E_TOO_BIG;
    memcpy(ret->single, last, strlen(last) + 1);
    memcpy(ret->path, dest, strlen(dest) + 1);
    if (slash != NULL) {
        memcpy(ret->folder, dest, (size_t)(slash - dest));
        ret->folder[slash - dest] = '\0';
    }
    return URD_OK;
}

/* What an offer's request says, decoded.  @ret_manifest is done by the caller. */
static urd_err read_offer(struct urd_cx *cx, struct node_call *call,
                          struct urd_fountain_manifest *ret_manifest, struct destination *ret)
{
    const Urd__V1__FileOffer *body = call->request->file_offer;
    char *path;
    urd_err err = node_file_path_of(call, &body->path, &path);
    if (err != URD_OK) return err;
    struct urd_fountain_manifest manifest;
    err = urd_fountain_manifest_decode(body->manifest.data, body->manifest.len, &manifest);
    if (err != URD_OK)
        return node_call_fail(call, err, "the manifest does not parse: %s", urd_err_text(err));
    err = resolve(cx, call->node, path, body->dest_is_directory, &manifest, ret);
    if (err != URD_OK) {
        urd_fountain_manifest_done(&manifest);
        return node_call_fail(call, err, "the path is too long");
    }
    *ret_manifest = manifest;
    return URD_OK;
}

urd_err node_file_offer_resource(struct urd_cx *cx, struct node_call *call, unsigned index,
                                 char ret[static NODE_RESOURCE_TEXT_MAX])
{
    struct urd_fountain_manifest manifest;
    struct destination *dest = node_call_alloc(call, sizeof *dest);
    if (index > 0) return URD_E_NOT_FOUND; /* the rest is judged entry by entry, below */
    if (dest == NULL) return URD_E_NOMEM;
    urd_err err = read_offer(cx, call, &manifest, dest);
    if (err != URD_OK) return err == URD_E_NOT_FOUND ? URD_E_INVALID : err;
    urd_fountain_manifest_done(&manifest);
    return node_resource_of_file(ret, node_name(call->node), (const uint8_t *)dest->path,
                                 strlen(dest->path));
}

/* Every path that would appear has to be allowed. */
static urd_err allow_entries(struct node_call *call, const struct urd_fountain_manifest *manifest,
                             const struct destination *dest)
{
    char resource[NODE_RESOURCE_TEXT_MAX];
    char *path = node_call_alloc(call, NODE_PATH_BYTES_MAX + URD_FOUNTAIN_PATH_BYTES_MAX + 2);
    if (path == NULL) return URD_E_NOMEM;
    for (uint32_t i = 0; i < manifest->entries_count; i++) {
        const char *name = dest->single[0] != '\0' ? dest->single : manifest->entries[i].path;
        int len = snprintf(path, NODE_PATH_BYTES_MAX + URD_FOUNTAIN_PATH_BYTES_MAX + 2, "%s%s%s",
                           dest->folder, dest->folder[0] != '\0' ? "/" : "", name);
        urd_err err = node_resource_of_file(resource, node_name(call->node), (const uint8_t *)path,
                                            (size_t)len);
        if (err != URD_OK) return node_call_fail(call, err, "a path of the manifest is too long");
        if (node_call_allows(call, "file.send", resource)) continue;
        call->caveat = "resource";
        return node_call_fail(call, URD_E_DENIED,
                              "file.send on %s: refused by the capability (resource)", resource);
    }
    return URD_OK;
}

/* An older session of the same transfer has lost its sender: end it, so that its partial files are
 * free. */
static urd_err end_older(struct urd_cx *cx, struct node_call *call,
                         const struct node_file_session *mine)
{
    struct node_files *files = call->service;
    for (struct node_file_session *s = files->sessions; s != NULL; s = s->next) {
        if (!s->receiving || strcmp(s->partial_name, mine->partial_name) != 0 ||
            urd_event_is_set(&s->ended))
            continue;
        s->refs++;
        node_file_session_cancel(s);
        urd_err err = urd_event_wait(cx, &s->ended, call->deadline_ns);
        node_file_session_unref(s);
        return err == URD_OK ? end_older(cx, call, mine) : err;
    }
    return URD_OK;
}

/* partial/ID for this transfer to this destination: the same when it is resumed. */
static void name_partial(struct node_file_session *s, const Urd__V1__FileOffer *body,
                         const struct destination *dest)
{
    uint8_t digest[NODE_ID_BYTES];
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof digest);
    (void)crypto_generichash_update(&state, body->transfer_id.data, body->transfer_id.len);
    (void)crypto_generichash_update(&state, (const uint8_t *)dest->path, strlen(dest->path) + 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)dest->folder,
                                    strlen(dest->folder) + 1);
    (void)crypto_generichash_update(&state, body->manifest.data, body->manifest.len);
    (void)crypto_generichash_final(&state, digest, sizeof digest);
    (void)sodium_bin2hex(s->partial_name, sizeof s->partial_name, digest, sizeof digest);
}

/* Open the partial directory, the journal in it and the sink; with @fresh what is there is thrown
 * away. */
static urd_err open_sink(struct urd_cx *cx, struct node_file_session *s,
                         const struct destination *dest, bool fresh)
{
    struct urd_dir *all = node_partial(s->files->node);
    struct urd_fountain_file_sink_options options = { .manifest = &s->manifest,
                                                      .root = node_root(s->files->node),
                                                      .dest = dest->folder,
                                                      .rename_single = dest->single[0] != '\0'
                                                                           ? dest->single
                                                                           : NULL };
    urd_err err = urd_dir_make(cx, all, s->partial_name);
    if (err == URD_OK || err == URD_E_EXISTS)
        err = urd_dir_open_at(cx, all, s->partial_name, &s->partial);
    if (err != URD_OK) return err;
    options.partial = s->partial;
    if (fresh) {
        struct urd_fountain_file_sink *old;
        err = urd_fountain_file_sink_open(cx, &options, &old);
        if (err == URD_OK) {
            err = urd_fountain_file_sink_discard(cx, old);
            urd_fountain_file_sink_close(old);
        }
        if (err == URD_OK) err = urd_file_unlink(cx, s->partial, "journal");
        if (err != URD_OK && err != URD_E_NOT_FOUND) return err;
    }
    err = urd_fountain_file_journal_open(cx, s->partial, "journal", &s->manifest, &s->journal,
                                         &s->known, &s->known_count);
    if (err != URD_OK) return err;
    options.journal = urd_fountain_file_journal_table(s->journal);
    return urd_fountain_file_sink_open(cx, &options, &s->sink);
}

static int by_block(const void *a, const void *b)
{
    const struct urd_fountain_finished *x = a, *y = b;
    return x->block < y->block ? -1 : x->block > y->block;
}

/* The finished blocks as ranges; where there are too many, the last are left out and sent again. */
static urd_err fill_ranges(struct node_call *call, struct node_file_session *s,
                           Urd__V1__FileOfferReply *reply)
{
    Urd__V1__BlockRange *range = NULL;
    reply->finished = node_call_alloc(call, (s->known_count + 1) * sizeof *reply->finished);
    if (reply->finished == NULL) return URD_E_NOMEM;
    if (s->known_count > 0) qsort(s->known, s->known_count, sizeof *s->known, by_block);
    for (uint32_t i = 0; i < s->known_count; i++) {
        if (range != NULL && range->first + range->count == s->known[i].block) {
            range->count++;
            continue;
        }
        if (reply->n_finished == NODE_RANGES_MAX) break;
        range = NODE_CALL_NEW(call, Urd__V1__BlockRange, urd__v1__block_range__init);
        if (range == NULL) return URD_E_NOMEM;
        range->first = s->known[i].block;
        range->count = 1;
        reply->finished[reply->n_finished++] = range;
    }
    return URD_OK;
}

static urd_err prepare(struct urd_cx *cx, struct node_call *call, struct node_file_session *s,
                       const struct destination *dest, Urd__V1__FileOfferReply *reply)
{
    const Urd__V1__FileOffer *body = call->request->file_offer;
    bool ok = true;
    memcpy(s->id, body->transfer_id.data,
           body->transfer_id.len < sizeof s->id ? body->transfer_id.len : sizeof s->id);
    memcpy(s->path, dest->path, sizeof s->path);
    name_partial(s, body, dest);
    urd_err err = urd_caps_grant_clone(call->grant, &s->grant);
    if (err == URD_OK) err = end_older(cx, call, s);
    if (err == URD_OK) err = open_sink(cx, s, dest, !body->resume);
    if (err == URD_OK) err = urd_fountain_digests_new(s->manifest.layout.blocks, &s->digests);
    for (uint32_t i = 0; i < s->known_count && err == URD_OK; i++)
        err = urd_fountain_digests_put(s->digests, s->known[i].block, s->known[i].digest);
    if (err == URD_OK) err = node_file_session_agree(cx, call, s, body->terms, &reply->terms);
    if (err == URD_OK) err = fill_ranges(call, s, reply);
    if (err != URD_OK) return err;
    reply->session_id = s->agreement.id;
    reply->digests_known = urd_fountain_digests_known(s->digests);
    reply->path = node_call_bytes(call, dest->path, strlen(dest->path), &ok);
    return ok ? node_file_session_start(cx, s) : URD_E_NOMEM;
}

urd_err node_file_offer(struct urd_cx *cx, struct node_call *call)
{
    if (call->request->file_offer->group_id != 0)
        return node_call_fail(call, URD_E_UNSUPPORTED, "group sessions are not supported yet");
    Urd__V1__FileOfferReply *reply =
        NODE_CALL_NEW(call, Urd__V1__FileOfferReply, urd__v1__file_offer_reply__init);
    struct destination *dest = node_call_alloc(call, sizeof *dest);
    struct node_file_session *s = node_file_session_new(call->service);
    urd_err err = URD_E_NOMEM;
    if (reply != NULL && dest != NULL && s != NULL) {
        s->receiving = true;
        err = read_offer(cx, call, &s->manifest, dest);
        if (err == URD_OK) err = allow_entries(call, &s->manifest, dest);
        if (err == URD_OK) err = prepare(cx, call, s, dest, reply);
    }
    node_file_session_unref(s);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_OFFER;
    call->reply.file_offer = reply;
    return URD_OK;
}

urd_err node_file_run_receive(struct urd_cx *cx, struct node_file_session *s)
{
    struct urd_fountain_receive_options options = { .agreement = &s->agreement,
                                                    .manifest = &s->manifest,
                                                    .sink = urd_fountain_file_sink_table(s->sink),
                                                    .digests = s->digests,
                                                    .finished = s->known,
                                                    .finished_count = s->known_count,
                                                    .peer = s->peer,
                                                    .window_bytes = NODE_FILE_WINDOW_BYTES,
                                                    .idle_ns = NODE_FILE_IDLE_NS };
    return urd_fountain_receive(cx, s->files->hub, &options, &s->stats, s->why, sizeof s->why);
}

urd_err node_file_offer_digests(struct urd_cx *cx, struct node_call *call)
{
    (void)cx;
    const Urd__V1__FileOfferDigests *body = call->request->file_offer_digests;
    uint32_t next = 0;
    Urd__V1__FileOfferDigestsReply *reply = NODE_CALL_NEW(call, Urd__V1__FileOfferDigestsReply,
                                                          urd__v1__file_offer_digests_reply__init);
    if (reply == NULL) return URD_E_NOMEM;
    struct node_file_session *s = node_file_session_find(call->service, body->session_id, true);
    if (s == NULL) return node_call_fail(call, URD_E_NOT_FOUND, "no such session, or no longer");
    urd_err err = urd_fountain_digests_decode(s->digests, body->batch.data, body->batch.len, &next);
    if (err != URD_OK) (void)node_call_fail(call, err, "the digests do not fit this session");
    reply->next = next;
    reply->finished = urd_event_is_set(&s->ended) && s->err == URD_OK;
    node_file_session_unref(s);
    if (err != URD_OK) return err;
    call->reply.body_case = URD__V1__REPLY__BODY_FILE_OFFER_DIGESTS;
    call->reply.file_offer_digests = reply;
    return URD_OK;
}

urd_err node_file_offer_finish(struct urd_cx *cx, struct node_call *call)
{
    const Urd__V1__FileOfferFinish *body = call->request->file_offer_finish;
    struct node_file_session *s = node_file_session_find(call->service, body->session_id, true);
    if (s == NULL) return node_call_fail(call, URD_E_NOT_FOUND, "no such session, or no longer");
    urd_err err = node_file_session_finish(cx, call, s, body->end);
    node_file_session_unref(s);
    return err;
}
