/* A node's file to a local path.
 *
 *     locate ─► open (our half) ─► manifest, their half ─► journal: what is here already
 *            ─► receive into .urd-partial ∥ digests over RPC ─► under its name ─► finish */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/file_internal.h"
#include "client/local.h"
#include "fountain/transfer/files.h"

#define POLL_NS  UINT64_C(20000000000)
#define RETRY_NS UINT64_C(100000000)
#define PARTIAL  ".urd-partial"

struct fetching {
    struct urd_client *client;
    const struct urd_file_options *options;
    const struct client_place_names *source;
    const char *node;

    struct urd_dir *root; /* where it is to appear */
    char name[256];       /* and as what; "": as it is named there */
    bool contents_only;   /* of a directory there, into directory `name` */

    struct client_data data;
    struct urd_fountain_manifest manifest;
    bool has_manifest;
    struct urd_fountain_digests *digests;
    struct urd_dir *partial;
    char partial_path[64], journal_path[72]; /* below root */
    struct urd_fountain_file_journal *journal;
    struct urd_fountain_finished *finished;
    uint32_t finished_count;
    struct urd_fountain_file_sink *sink;

    struct urd_fountain_stats stats;
    struct urd_file_result *result;
    char pull_why[URD_CLIENT_ERRMSG_MAX]; /* of the puller, which runs beside the receiver */
};

/* ---- where to -----------------------------------------------------------------------------------
 */

static bool ends_in_directory(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    return name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* As cp has it: into a directory that is there, else under the name that @dest gives. */
static urd_err choose_dest(struct urd_cx *cx, struct fetching *f, const char *dest, char *errmsg)
{
    struct client_local local;
    bool directory = ends_in_directory(dest);
    urd_err err = urd_dir_open(cx, dest, directory, &f->root);
    if (err == URD_OK) return URD_OK;
    if (!directory) {
        err = client_local_open(cx, dest, &local);
        if (err == URD_OK) {
            f->root = local.dir;
            memcpy(f->name, local.name, sizeof f->name);
            return URD_OK;
        }
    }
    return client_say(errmsg, err, "%.300s: %s", dest, urd_err_text(err));
}

static void see_kind(void *arg, const struct urd_file_entry *entry)
{
    struct fetching *f = arg;
    f->contents_only = entry->kind == URD_ENTRY_DIRECTORY;
}

/* A directory that gets a new name here is asked for without its own. */
static void ask_kind(struct urd_cx *cx, struct fetching *f, const char *source)
{
    if (f->name[0] == '\0') return;
    (void)!urd_client_stat_file(cx, f->client, source, false, see_kind, f, NULL); /* else a file */
}

/* ---- the session --------------------------------------------------------------------------------
 */

static urd_err open_there(struct urd_cx *cx, struct fetching *f, const char *address)
{
    char *errmsg = f->result->errmsg;
    struct client_request request;
    Urd__V1__Reply *reply;
    Urd__V1__FileTerms terms;
    Urd__V1__FileOpen body = URD__V1__FILE_OPEN__INIT;
    urd_err err = client_data_init(cx, f->options, &f->data, &terms, errmsg);
    if (err != URD_OK) return err;
    err = client_request_init(cx, &request);
    if (err != URD_OK) return client_say(errmsg, err, "%s", urd_err_text(err));
    body.path =
        (ProtobufCBinaryData){ .data = (uint8_t *)f->source->path, .len = strlen(f->source->path) };
    body.terms = &terms;
    body.holder_count = 1;
    body.symbol_bytes = f->options->symbol_bytes;
    body.contents_only = f->contents_only;
    request.message.body_case = URD__V1__REQUEST__BODY_FILE_OPEN;
    request.message.file_open = &body;
    err = client_ask(cx, f->client, f->node, &request, URD__V1__REPLY__BODY_FILE_OPEN, &reply,
                     errmsg);
    if (err != URD_OK) return err;
    const Urd__V1__FileOpenReply *answer = reply->file_open;
    uint8_t id[NODE_ID_BYTES];
    client_transfer_id(answer->manifest.data, answer->manifest.len, f->name, id, f->result->id);
    err =
        client_data_agree(cx, &f->data, answer->session_id, answer->terms, false, address, errmsg);
    if (err == URD_OK) {
        err =
            urd_fountain_manifest_decode(answer->manifest.data, answer->manifest.len, &f->manifest);
        f->has_manifest = err == URD_OK;
        if (err != URD_OK)
            (void)client_say(errmsg, err, "what the node says it sends: %s", urd_err_text(err));
    }
    node_reply_free(reply);
    return err;
}

static urd_err pull_digests(struct urd_cx *cx, void *arg)
{
    struct fetching *f = arg;
    uint32_t next = 0, end = f->manifest.layout.blocks + 1;
    urd_err err = URD_OK;
    while (err == URD_OK && next < end) {
        struct client_request request;
        Urd__V1__Reply *reply;
        Urd__V1__FileOpenDigests body = URD__V1__FILE_OPEN_DIGESTS__INIT;
        body.session_id = f->data.session_id;
        body.from = next;
        err = client_request_init(cx, &request);
        if (err != URD_OK) break;
        request.message.body_case = URD__V1__REQUEST__BODY_FILE_OPEN_DIGESTS;
        request.message.file_open_digests = &body;
        err = client_call(cx, f->client, f->node, &request, urd_cx_now(cx) + POLL_NS, &reply,
                          f->pull_why);
        if (err == URD_OK) {
            if (reply->body_case != URD__V1__REPLY__BODY_FILE_OPEN_DIGESTS)
                err = URD_E_VERSION;
            else if (reply->file_open_digests->batch.len > 0)
                err = urd_fountain_digests_decode(f->digests, reply->file_open_digests->batch.data,
                                                  reply->file_open_digests->batch.len, &next);
            node_reply_free(reply);
        } else if (urd_err_classify(err) == URD_CLASS_RETRY) {
            err = urd_sleep(cx, RETRY_NS);
        }
    }
    return err;
}

static urd_err receive(struct urd_cx *cx, void *arg)
{
    struct fetching *f = arg;
    struct client_file_teller teller = { .options = f->options, .node = f->node };
    const struct urd_fountain_receive_options options = {
        .agreement = &f->data.agreement,
        .manifest = &f->manifest,
        .sink = urd_fountain_file_sink_table(f->sink),
        .digests = f->digests,
        .finished = f->finished,
        .finished_count = f->finished_count,
        .peer = f->data.peer,
        .progress = client_file_tell,
        .progress_arg = &teller,
    };
    return urd_fountain_receive(cx, f->data.hub, &options, &f->stats, f->result->errmsg,
                                sizeof f->result->errmsg);
}

static urd_err run_session(struct urd_cx *cx, struct fetching *f)
{
    struct client_data_tasks tasks = {
        .data = &f->data, .body = receive, .beside = pull_digests, .arg = f
    };
    urd_err err = client_data_run(cx, &tasks);
    if (err != URD_OK && err == tasks.beside_err)
        (void)client_say(f->result->errmsg, err, "the node's digests: %s",
                         f->pull_why[0] != '\0' ? f->pull_why : urd_err_text(err));
    return err;
}

/* ---- what is kept of it here --------------------------------------------------------------------
 */

static bool is_single(const struct urd_fountain_manifest *manifest)
{
    return manifest->entries_count == 1 &&
           manifest->entries[0].kind != URD_FOUNTAIN_ENTRY_DIRECTORY;
}

static urd_err open_sink(struct urd_cx *cx, struct fetching *f)
{
    bool named = f->name[0] != '\0', single = is_single(&f->manifest) && !f->contents_only;
    const struct urd_fountain_file_sink_options options = {
        .manifest = &f->manifest,
        .partial = f->partial,
        .root = f->root,
        .dest = named && !single ? f->name : "",
        .rename_single = named && single ? f->name : NULL,
        .journal = urd_fountain_file_journal_table(f->journal),
    };
    return urd_fountain_file_sink_open(cx, &options, &f->sink);
}

static urd_err open_here(struct urd_cx *cx, struct fetching *f)
{
    (void)snprintf(f->partial_path, sizeof f->partial_path, PARTIAL "/%s", f->result->id);
    (void)snprintf(f->journal_path, sizeof f->journal_path, PARTIAL "/%s.journal", f->result->id);
    urd_err err = urd_dir_make(cx, f->root, f->partial_path);
    if (err == URD_OK && f->options->no_resume) {
        err = urd_file_unlink(cx, f->root, f->journal_path);
        if (err == URD_E_NOT_FOUND) err = URD_OK;
    }
    if (err == URD_OK) err = urd_dir_open_at(cx, f->root, f->partial_path, &f->partial);
    if (err == URD_OK)
        err = urd_fountain_file_journal_open(cx, f->root, f->journal_path, &f->manifest,
                                             &f->journal, &f->finished, &f->finished_count);
    if (err == URD_OK) err = open_sink(cx, f);
    if (err == URD_OK) err = urd_fountain_digests_new(f->manifest.layout.blocks, &f->digests);
    return err == URD_OK ? URD_OK
                         : client_say(f->result->errmsg, err, PARTIAL " beside the destination: %s",
                                      urd_err_text(err));
}

/* Leave nothing behind but the files.  What cannot be removed is left: another transfer's. */
static void clean_up(struct urd_cx *cx, struct fetching *f)
{
    (void)!urd_file_unlink(cx, f->root, f->journal_path);
    (void)!urd_dir_remove(cx, f->root, f->partial_path);
    (void)!urd_dir_remove(cx, f->root, PARTIAL);
}

static void close_here(struct fetching *f)
{
    if (f->sink != NULL) urd_fountain_file_sink_close(f->sink);
    if (f->journal != NULL) urd_fountain_file_journal_close(f->journal);
    free(f->finished);
    urd_fountain_digests_free(f->digests);
    if (f->has_manifest) urd_fountain_manifest_done(&f->manifest);
    if (f->partial != NULL) urd_dir_close(f->partial);
    if (f->root != NULL) urd_dir_close(f->root);
}

static urd_err fetch(struct urd_cx *cx, struct fetching *f)
{
    char address[NODE_URL_BYTES_MAX + 1];
    urd_err err = client_file_locate(cx, f->client, f->node, f->source->path, true, address,
                                     f->result->errmsg);
    if (err != URD_OK) return err;
    err = open_there(cx, f, address);
    if (err == URD_OK) err = open_here(cx, f);
    if (err == URD_OK) err = run_session(cx, f);
    (void)!client_data_finish(cx, f->client, f->node, &f->data, false,
                              err == URD_OK ? URD__V1__FILE_END__FILE_END_COMPLETE
                                            : URD__V1__FILE_END__FILE_END_PAUSE,
                              NULL);
    client_data_done(&f->data);
    return err;
}

urd_err urd_client_fetch_file(struct urd_cx *cx, struct urd_client *client, const char *source,
                              const char *dest, const struct urd_file_options *options,
                              struct urd_file_result *ret, char *errmsg)
{
    static const struct urd_file_options none;
    struct client_place_names place;
    struct urd_file_result result = { .err = URD_E_CANCELLED };
    if (errmsg != NULL) errmsg[0] = '\0';
    urd_err err = client_file_place(source, &place, errmsg);
    if (err != URD_OK) return err;
    if (place.nodes_count > 1)
        return client_say(errmsg, URD_E_UNSUPPORTED,
                          "fetching from several nodes at once is not supported: name one");
    struct fetching *f = calloc(1, sizeof *f);
    if (f == NULL) return client_say(errmsg, URD_E_NOMEM, "out of memory");
    f->client = client;
    f->options = options != NULL ? options : &none;
    f->source = &place;
    f->node = place.nodes[0];
    f->result = &result;
    (void)snprintf(result.node, sizeof result.node, "%s", f->node);

    err = choose_dest(cx, f, dest, result.errmsg);
    if (err == URD_OK) {
        ask_kind(cx, f, source);
        err = fetch(cx, f);
    }
    if (err == URD_OK) clean_up(cx, f);
    client_data_result(&f->stats, err == URD_OK, &result);
    close_here(f);
    free(f);
    result.err = err;
    *ret = result;
    if (err == URD_OK) return URD_OK;
    return client_say(errmsg, err, "%s",
                      result.errmsg[0] != '\0' ? result.errmsg : urd_err_text(err));
}
