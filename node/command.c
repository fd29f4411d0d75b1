/* What the `urd` command does on a node's own machine, but for `init` (init.c). */
#include "node/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/identity.h"
#include "node/node_internal.h"
#include "node/profile.h"
#include "node/run.h"
#include "runtime/blocking.h"
#include "runtime/nng/nng.h"
#include "runtime/runtime.h"
#include "runtime/service.h"
#include "saga/document.h"
#include "saga/ledger.h"
#include "saga/plan.h"
#include "storage/kv_lmdb.h"

/* ---- urd node ---- */

struct running {
    const char *dir;
    struct node_config *config;
    char *errmsg;
    size_t errmsg_len;
    urd_err err;
};

static void print_ready(struct urd_cx *cx, void *arg, const struct node_ready *ready)
{
    (void)arg;
    (void)printf("ready name=%s rpc=%s data=%s http=%s\n", ready->name, ready->rpc, ready->data,
                 ready->http);
    (void)fflush(stdout);
    if (urd_service_notify(cx, "READY=1") != URD_OK)
        (void)fprintf(stderr, "urd node %s: the service manager could not be told\n", ready->name);
}

/* First a short run to read what the second one's runtime needs to know. */
static urd_err look(struct urd_cx *cx, void *arg)
{
    struct running *r = arg;
    char *ca = NULL, *cap = NULL;
    r->err = node_directory_look(cx, r->dir, r->config, &ca, &cap, r->errmsg, r->errmsg_len);
    if (r->err == URD_OK) {
        free(ca);
        node_secret_free(cap);
    }
    return URD_OK;
}

static urd_err run(struct urd_cx *cx, void *arg)
{
    struct running *r = arg;
    const struct node_run_options options = { .dir = r->dir, .ready = print_ready };
    r->err = node_run(cx, &options, r->errmsg, r->errmsg_len);
    return r->err == URD_E_CANCELLED ? URD_OK : r->err;
}

urd_err node_command_run(const char *dir, char *errmsg, size_t errmsg_len)
{
    struct urd_world world = urd_world_real();
    world.rpc = urd_nng_rpc_ops();
    struct urd_runtime_options options = { .workers = 1, .world = &world };
    struct running r = { .dir = dir,
                         .config = malloc(sizeof(struct node_config)),
                         .errmsg = errmsg,
                         .errmsg_len = errmsg_len,
                         .err = URD_E_SYSTEM };
    if (r.config == NULL) return URD_E_NOMEM;
    urd_err err = urd_runtime_run(&options, look, &r, NULL);
    if (err == URD_OK) err = r.err;
    if (err == URD_OK) {
        options.workers = r.config->runtime_workers;
        r.err = URD_E_SYSTEM;
        err = urd_runtime_run(&options, run, &r, NULL);
        if (err == URD_OK) err = r.err;
    }
    free(r.config);
    if (err != URD_OK && errmsg != NULL && errmsg_len > 0 && errmsg[0] == 0)
        node_say(errmsg, errmsg_len, "%s", urd_err_text(err));
    return err;
}

/* ---- urd verify ---- */

struct store_call {
    char path[URD_PATH_MAX];
    struct storage_lmdb_options options;
    struct storage *store;
    char *errmsg;
    size_t errmsg_len;
    urd_err err;
};

static void store_open(void *arg)
{
    struct store_call *call = arg;
    call->err =
        storage_lmdb_open(call->path, &call->options, &call->store, call->errmsg, call->errmsg_len);
}

static void store_close(void *store)
{
    storage_close(store);
}

/* Walk the store at @path, opened for reading beside whoever writes it. */
static urd_err verify_at(struct urd_cx *cx, const char *path, const struct node_verify *options,
                         char **ret_json, bool *ret_sound, char *errmsg, size_t errmsg_len)
{
    struct store_call call = { .options = { .must_exist = true, .read_only = true },
                               .errmsg = errmsg,
                               .errmsg_len = errmsg_len };
    if (snprintf(call.path, sizeof call.path, "%s", path) >= (int)sizeof call.path)
        return URD_E_TOO_BIG;
    urd_err err = urd_blocking(cx, store_open, &call);
    if (err == URD_OK) err = call.err;
    if (err != URD_OK) return err;
    json_t *report;
    bool sound;
    err = node_verify_store(cx, call.store, options, &report, &sound);
    if (urd_blocking(cx, store_close, call.store) != URD_OK) storage_close(call.store);
    if (err != URD_OK) {
        node_say(errmsg, errmsg_len, "%s: %s", path, urd_err_text(err));
        return err;
    }
    char *text = json_dumps(report, JSON_COMPACT);
    json_decref(report);
    if (text == NULL) return URD_E_NOMEM;
    *ret_json = text;
    *ret_sound = sound;
    return URD_OK;
}

/* The ledgers' texts as the checkers take them; done by the caller whatever is returned. */
static urd_err read_ledgers(const struct node_command_verify *options, struct saga_ledgers *ledgers,
                            char *errmsg, size_t errmsg_len)
{
    for (size_t i = 0; i < options->ledgers_count; i++) {
        urd_err err = saga_ledgers_add(ledgers, options->ledgers[i], strlen(options->ledgers[i]));
        if (err != URD_OK) return err;
    }
    if (ledgers->lines_damaged == 0) return URD_OK;
    node_say(errmsg, errmsg_len, "%llu lines of the ledgers are no events",
             (unsigned long long)ledgers->lines_damaged);
    return URD_E_INVALID;
}

urd_err node_command_verify(struct urd_cx *cx, const struct node_command_verify *options,
                            char **ret_json, bool *ret_sound, char *errmsg, size_t errmsg_len)
{
    char path[URD_PATH_MAX];
    struct saga_ledgers ledgers = SAGA_LEDGERS_INIT;
    struct node_verify verify = { .ledgers = options->ledgers_count > 0 ? &ledgers : NULL,
                                  .require_ends = options->require_ends,
                                  .record = options->record,
                                  .record_arg = options->record_arg };
    if (snprintf(path, sizeof path, "%s/store", options->dir) >= (int)sizeof path)
        return URD_E_TOO_BIG;
    urd_err err = read_ledgers(options, &ledgers, errmsg, errmsg_len);
    if (err == URD_OK) err = verify_at(cx, path, &verify, ret_json, ret_sound, errmsg, errmsg_len);
    saga_ledgers_done(&ledgers);
    return err;
}

/* ---- urd restore ---- */

#define COPY_BYTES (1u << 20)

static urd_err copy_file(struct urd_cx *cx, struct urd_dir *from_dir, struct urd_dir *to_dir,
                         const char *from, const char *to)
{
    struct urd_file *in = NULL, *out = NULL;
    uint8_t *bytes = malloc(COPY_BYTES);
    if (bytes == NULL) return URD_E_NOMEM;
    urd_err err = urd_file_open(cx, from_dir, from, URD_OPEN_READ, 0, &in);
    if (err == URD_OK)
        err = urd_file_open(cx, to_dir, to, URD_OPEN_WRITE | URD_OPEN_CREATE | URD_OPEN_TRUNCATE,
                            0600, &out);
    size_t len = COPY_BYTES;
    for (uint64_t at = 0; err == URD_OK && len == COPY_BYTES; at += len) {
        err = urd_file_read(cx, in, at, bytes, COPY_BYTES, &len);
        if (err == URD_OK) err = urd_file_write(cx, out, at, bytes, len);
    }
    if (err == URD_OK) err = urd_file_sync(cx, out);
    if (in != NULL) urd_file_close(in);
    if (out != NULL) urd_file_close(out);
    free(bytes);
    return err;
}

/* Nobody has the store open: it could be opened for writing. */
static urd_err check_free(struct urd_cx *cx, const char *dir, char *errmsg, size_t errmsg_len)
{
    struct store_call call = { .options = { .must_exist = true },
                               .errmsg = errmsg,
                               .errmsg_len = errmsg_len };
    if (snprintf(call.path, sizeof call.path, "%s/store", dir) >= (int)sizeof call.path)
        return URD_E_TOO_BIG;
    urd_err err = urd_blocking(cx, store_open, &call);
    if (err == URD_OK) err = call.err;
    if (err == URD_OK && urd_blocking(cx, store_close, call.store) != URD_OK)
        storage_close(call.store);
    if (err == URD_E_BUSY) node_say(errmsg, errmsg_len, "the node of %s runs: stop it first", dir);
    /* No store, or one that is damaged: all the more reason to restore. */
    return err == URD_E_BUSY || err == URD_E_NOMEM || err == URD_E_CANCELLED ? err : URD_OK;
}

static urd_err put_in_place(struct urd_cx *cx, struct urd_dir *backup, struct urd_dir *dir)
{
    struct urd_file_info info;
    urd_err err = urd_dir_make(cx, dir, "store.new");
    if (err == URD_E_EXISTS) err = URD_OK;
    if (err == URD_OK) err = copy_file(cx, backup, dir, "data.mdb", "store.new/data.mdb");
    if (err == URD_OK) err = urd_dir_sync(cx, dir, "store.new");
    /* The mark comes first: a store that was put back is never taken for one that just went on. */
    if (err == URD_OK) err = urd_file_store(cx, dir, NODE_RESTORED_MARK, 0600, "", 0);
    if (err == URD_OK && urd_file_stat(cx, dir, "store", &info) == URD_OK) {
        char kept[64];
        (void)snprintf(kept, sizeof kept, "store.before-%lld", (long long)node_wall_s(cx));
        err = urd_file_rename(cx, dir, "store", dir, kept);
    }
    if (err == URD_OK) err = urd_file_rename(cx, dir, "store.new", dir, "store");
    return err != URD_OK ? err : urd_dir_sync(cx, dir, ".");
}

urd_err node_command_restore(struct urd_cx *cx, const char *from, const char *dir, char *errmsg,
                             size_t errmsg_len)
{
    struct urd_dir *backup = NULL, *to = NULL;
    char *report = NULL;
    bool sound = false;
    struct urd_file_info info;
    urd_err err = urd_dir_open(cx, dir, false, &to);
    if (err == URD_OK) err = urd_file_stat(cx, to, "urd.conf", &info);
    if (err != URD_OK) {
        node_say(errmsg, errmsg_len,
                 "%s is not a node directory: restore its urd.conf and keys, or "
                 "make one with `urd init`",
                 dir);
        goto out;
    }
    err = verify_at(cx, from, &(struct node_verify){ 0 }, &report, &sound, errmsg, errmsg_len);
    if (err != URD_OK) goto out;
    free(report);
    if (!sound) {
        node_say(errmsg, errmsg_len, "the backup is damaged: `urd verify` says where");
        err = URD_E_CORRUPT;
        goto out;
    }
    err = check_free(cx, dir, errmsg, errmsg_len);
    if (err != URD_OK) goto out;
    err = urd_dir_open(cx, from, false, &backup);
    if (err == URD_OK) err = put_in_place(cx, backup, to);
    if (err != URD_OK) node_say(errmsg, errmsg_len, "%s to %s: %s", from, dir, urd_err_text(err));
out:
    if (backup != NULL) urd_dir_close(backup);
    if (to != NULL) urd_dir_close(to);
    return err;
}

/* ---- urd saga plan ---- */

urd_err node_command_plan(const char *document_text, char **ret_json, char *errmsg,
                          size_t errmsg_len)
{
    struct saga_document *document;
    urd_err err =
        saga_document_decode(document_text, strlen(document_text), &document, errmsg, errmsg_len);
    if (err != URD_OK) return err;
    struct saga_plan *plan;
    err = saga_plan_make(document, &plan);
    if (err != URD_OK) {
        saga_document_free(document);
        return err;
    }
    json_t *json = saga_plan_json(plan, document);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    saga_plan_free(plan);
    saga_document_free(document);
    if (text == NULL) return URD_E_NOMEM;
    *ret_json = text;
    return URD_OK;
}

/* ---- whom a client asks ---- */

/* Where a client on this machine dials the node of @config. */
static void own_url(const struct node_config *config, char *ret, size_t ret_size)
{
    const char *listen = config->rpc_listen;
    const char *scheme = config->rpc_plain ? "tcp://" : "tls+tcp://";
    if (strncmp(listen, "0.0.0.0:", 8) == 0)
        (void)snprintf(ret, ret_size, "%s127.0.0.1:%s", scheme, listen + 8);
    else if (strncmp(listen, "[::]:", 5) == 0)
        (void)snprintf(ret, ret_size, "%s[::1]:%s", scheme, listen + 5);
    else
        (void)snprintf(ret, ret_size, "%s%.150s", scheme, listen);
}

urd_err node_command_home(struct urd_cx *cx, const char *dir, struct node_place *ret, char *errmsg,
                          size_t errmsg_len)
{
    struct node_config *config = malloc(sizeof *config);
    struct node_place place = { .nodes_count = 0 };
    if (config == NULL) return URD_E_NOMEM;
    urd_err err =
        node_directory_look(cx, dir, config, &place.ca_pem, &place.cap, errmsg, errmsg_len);
    if (err == URD_OK) {
        (void)snprintf(place.cluster, sizeof place.cluster, "%s", config->cluster);
        (void)snprintf(place.nodes[0].name, sizeof place.nodes[0].name, "%s", config->name);
        own_url(config, place.nodes[0].url, sizeof place.nodes[0].url);
        place.nodes_count = 1;
        for (uint32_t i = 0; i < config->peer_count && place.nodes_count < NODE_PLACE_NODES_MAX;
             i++) {
            size_t at = place.nodes_count++;
            (void)snprintf(place.nodes[at].name, sizeof place.nodes[at].name, "%s",
                           config->peers[i].name);
            (void)snprintf(place.nodes[at].url, sizeof place.nodes[at].url, "%s",
                           config->peers[i].url);
        }
        *ret = place;
    }
    free(config);
    return err;
}

urd_err node_command_profile(const char *text, size_t text_len, struct node_place *ret,
                             char *errmsg, size_t errmsg_len)
{
    return node_profile_parse(text, text_len, ret, errmsg, errmsg_len);
}
